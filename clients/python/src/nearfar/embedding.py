"""Calls that embed texts."""

from __future__ import annotations

from functools import partial
from typing import Optional, Sequence, Union

import numpy as np

from .batches import ListBatch
from .calls import Calls, call
from .results import Floats
from .session import read_json, read_tensors
from .wire import SAFETENSORS


class Embedding(Calls):
    @call
    async def embed(
        self,
        texts: Union[str, Sequence[str]],
        normalize: bool = True,
        dimensions: Optional[int] = None,
        *,
        truncate: bool = True,
        prompt_name: Optional[str] = None,
        batch_size: int = 1024,
        progress: bool = False,
    ) -> Floats:
        """Returns float32 [n, dim], one row per text; for a single text, one row [dim].

        dimensions: keep only the first `dimensions` values of a row, and normalise it again. truncate: when False, a text
        that is longer than the model accepts is an error. batch_size: the most texts per request; the rows do not depend
        on it.
        """
        every = [texts] if isinstance(texts, str) else list(texts)
        options = {"normalize": normalize, "truncate": truncate, "dimensions": dimensions, "prompt_name": prompt_name}
        pieces = await self._session.in_batches(
            "POST",
            "/embed",
            ListBatch("inputs", every, **options),
            partial(read_tensors, read=lambda tensors, _: tensors["embeddings"]),
            pure=True,
            headers={"Accept": SAFETENSORS},
            batch_size=batch_size,
            progress=progress,
            title="embed",
            unit="texts",
        )
        rows: Floats = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return rows[0] if isinstance(texts, str) else rows

    @call
    async def similarity(self, source: str, sentences: Sequence[str], *, progress: bool = False) -> Floats:
        """Returns float32 [n]: the cosine of the source with each sentence."""
        pieces = await self._session.in_batches(
            "POST",
            "/similarity",
            ListBatch(("inputs", "sentences"), list(sentences), source_sentence=source),
            partial(read_json, read=lambda body: np.array(body, np.float32)),
            pure=True,
            progress=progress,
            title="similarity",
            unit="sentences",
        )
        return np.concatenate(pieces)
