"""What the calls return."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

import numpy as np

from .safetensors import Tensors


@dataclass(frozen=True)
class LossResult:
    """A contrastive loss.

    loss: the mean of the rows' losses, in nats for the objectives with a softmax.
    candidates: the size of the largest row's softmax. temperature: None for an objective without one.
    per_row: float32 [N], or [2N] for nt_xent and for supcon with keys; None unless asked for.
    gradients: float32 arrays in the shape of what was sent, of the loss by `queries`, `keys`, `negatives`, `temperature`
    and `bias` as the objective depends on them; empty unless asked for.
    diagnostics: empty unless asked for. excluded: rows without a partner (supcon).
    """

    loss: float
    objective: str
    rows: int
    candidates: int
    dim: int
    temperature: Optional[float] = None
    per_row: Optional["np.ndarray[Any, Any]"] = field(default=None, repr=False)
    gradients: Tensors = field(default_factory=dict, repr=False)
    diagnostics: Dict[str, Any] = field(default_factory=dict)
    excluded: List[int] = field(default_factory=list)

    @classmethod
    def read(cls, tensors: Tensors, metadata: Mapping[str, str]) -> "LossResult":
        """From a safetensors answer; KeyError or ValueError when it is none."""
        said = {name: _value(text) for name, text in metadata.items()}
        prefix = "gradients."
        return cls(
            loss=float(tensors["loss"].reshape(())),
            objective=said["objective"],
            rows=said["rows"],
            candidates=said["candidates"],
            dim=said["dim"],
            temperature=said.get("temperature"),
            per_row=tensors.get("per_row"),
            gradients={name[len(prefix) :]: array for name, array in tensors.items() if name.startswith(prefix)},
            diagnostics=said.get("diagnostics", {}),
            excluded=said.get("excluded", []),
        )


def _value(text: str) -> Any:
    """A value of the metadata: JSON text, or a bare word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class Point:
    """A point of a collection; vector is float32 [dim]."""

    id: str
    vector: "np.ndarray[Any, Any]"
    text: Optional[str] = None
    metadata: Optional[Dict[str, Any]] = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Point":
        return cls(body["id"], np.array(body["vector"], np.float32), body.get("text"), body.get("metadata"))


@dataclass(frozen=True)
class Neighbor:
    """A point that was found; what `include` did not ask for, or the point does not have, is None."""

    id: str
    score: float
    metadata: Optional[Dict[str, Any]] = None
    text: Optional[str] = None
    vector: Optional["np.ndarray[Any, Any]"] = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Neighbor":
        vector = None if body.get("vector") is None else np.array(body["vector"], np.float32)
        return cls(body["id"], body["score"], body.get("metadata"), body.get("text"), vector)


@dataclass(frozen=True)
class Neighbors:
    """One list per query, best first, of the collection as it was at `version`.

    short_reasons: None, or per query why it got fewer than k (None where it got k).
    """

    collection: str
    version: int
    mode: str
    results: List[List[Neighbor]]
    short_reasons: Optional[List[Optional[str]]] = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Neighbors":
        results = [[Neighbor.read(entry) for entry in row] for row in body["results"]]
        return cls(body["collection"], body["version"], body["mode"], results, body.get("short_reasons"))


@dataclass(frozen=True)
class Collection:
    """model is the fingerprint of the model that embedded its texts, None as long as there were none.

    recall_target: the recall@10 of searches that ask for none.
    """

    name: str
    dim: int
    metric: str
    count: int
    version: int
    model: Optional[str]
    recall_target: float

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Collection":
        return cls(*(body[entry.name] for entry in fields(cls)))


@dataclass(frozen=True)
class Exported:
    """One version of a collection, or a part of it, in the order of ids.

    vectors: float32 [n, dim]. metadata, texts: None where a point has none.
    """

    collection: Collection
    ids: List[str]
    vectors: "np.ndarray[Any, Any]" = field(repr=False)
    metadata: List[Optional[Dict[str, Any]]] = field(repr=False)
    texts: List[Optional[str]] = field(repr=False)

    @classmethod
    def read(cls, tensors: Tensors, metadata: Mapping[str, str]) -> "Exported":
        """From a safetensors answer; KeyError or ValueError when it is none."""
        said = {name: json.loads(metadata[name]) for name in ("collection", "ids", "metadata", "texts")}
        return cls(
            Collection.read(said["collection"]), said["ids"], tensors["vectors"], said["metadata"], said["texts"]
        )


@dataclass(frozen=True)
class Queue:
    """A queue of negatives: `count` rows of at most `capacity`, `appended` since it was made."""

    name: str
    capacity: int
    dim: int
    count: int
    appended: int

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Queue":
        return cls(*(body[entry.name] for entry in fields(cls)))


class Upserted(NamedTuple):
    """The collection's version after the write, and how many points were written."""

    version: int
    upserted: int


class Deleted(NamedTuple):
    """The collection's version after the write, and how many points were there to delete."""

    version: int
    deleted: int
