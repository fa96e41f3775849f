"""What the calls return."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from .safetensors import Tensors

Floats = NDArray[np.float32]


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
    """A point of a collection; vector is float32 [dim]. What `include` did not ask for, or the point does not have, is None."""

    id: str
    vector: Optional[Floats] = None
    text: Optional[str] = None
    metadata: Optional[Dict[str, Any]] = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Point":
        return cls(body["id"], _vector(body), body.get("text"), body.get("metadata"))


@dataclass(frozen=True)
class Page:
    """Points in the order of their ids. next_after: what to pass as `after` for the page behind it; None for the last."""

    points: List[Point]
    next_after: Optional[str] = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Page":
        points = [Point.read(entry) for entry in body["points"]]
        # An older service does not say where to go on: that is behind the last point, up to a page without points.
        last = points[-1].id if points else None
        return cls(points, body.get("next_after", last))


@dataclass(frozen=True)
class Neighbor:
    """A point that was found; what `include` did not ask for, or the point does not have, is None."""

    id: str
    score: float
    metadata: Optional[Dict[str, Any]] = None
    text: Optional[str] = None
    vector: Optional[Floats] = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Neighbor":
        return cls(body["id"], body["score"], body.get("metadata"), body.get("text"), _vector(body))


def _vector(body: Mapping[str, Any]) -> Optional[Floats]:
    return None if body.get("vector") is None else np.array(body["vector"], np.float32)


@dataclass(frozen=True)
class Neighbors:
    """One list per query, best first, of the collection as it was at `version`.

    mode: `exact` or `graph`. short_reasons: None, or per query why it got fewer than k (None where it got k).
    ef: the candidates that a search of the graph went on from. expected_recall: its recall@10 as it was measured.

    A call that took several requests has the oldest version, and the mode, `ef` and recall of the least exact search.
    """

    collection: str
    version: int
    mode: str
    results: List[List[Neighbor]]
    short_reasons: Optional[List[Optional[str]]] = None
    ef: Optional[int] = None
    expected_recall: Optional[float] = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Neighbors":
        results = [[Neighbor.read(entry) for entry in row] for row in body["results"]]
        return cls(
            body["collection"],
            body["version"],
            body["mode"],
            results,
            body.get("short_reasons"),
            body.get("ef"),
            body.get("expected_recall"),
        )

    @classmethod
    def joined(cls, parts: Sequence["Neighbors"]) -> "Neighbors":
        """The answers to the requests of one call as one."""
        if len(parts) == 1:
            return parts[0]
        reasons: List[Optional[str]] = []
        for part in parts:
            reasons += part.short_reasons or [None] * len(part.results)
        recalls = [part.expected_recall for part in parts]
        return cls(
            parts[0].collection,
            min(part.version for part in parts),
            "graph" if any(part.mode == "graph" for part in parts) else "exact",
            [row for part in parts for row in part.results],
            reasons if any(reasons) else None,
            min((part.ef for part in parts if part.ef is not None), default=None),
            None if None in recalls else min(recall for recall in recalls if recall is not None),
        )


@dataclass(frozen=True)
class Collection:
    """A collection as the service describes it.

    model: the fingerprint of the model that embedded its texts, None as long as there were none.
    recall_target: the recall@10 of searches that ask for none; None from a service that does not state it.
    """

    name: str
    dim: int
    metric: str
    count: int
    version: int
    model: Optional[str] = None
    recall_target: Optional[float] = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Collection":
        return cls(
            body["name"],
            body["dim"],
            body["metric"],
            body["count"],
            body["version"],
            body.get("model"),
            body.get("recall_target"),
        )


@dataclass(frozen=True)
class Exported:
    """One version of a collection, or a part of it, in the order of ids; iterating over it gives its points.

    vectors: float32 [n, dim]. metadata, texts: None where a point has none.
    """

    collection: Collection
    ids: List[str] = field(repr=False)
    vectors: Floats = field(repr=False)
    metadata: List[Optional[Dict[str, Any]]] = field(repr=False)
    texts: List[Optional[str]] = field(repr=False)

    @classmethod
    def read(cls, tensors: Tensors, metadata: Mapping[str, str]) -> "Exported":
        """From a safetensors answer; KeyError or ValueError when it is none."""
        said = {name: json.loads(metadata[name]) for name in ("collection", "ids", "metadata", "texts")}
        return cls(
            Collection.read(said["collection"]), said["ids"], tensors["vectors"], said["metadata"], said["texts"]
        )

    @classmethod
    def joined(cls, parts: Sequence["Exported"]) -> "Exported":
        """Consecutive parts of one version as one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            parts[0].collection,
            [name for part in parts for name in part.ids],
            np.concatenate([part.vectors for part in parts]),
            [entry for part in parts for entry in part.metadata],
            [entry for part in parts for entry in part.texts],
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Point]:
        return map(Point, self.ids, self.vectors, self.texts, self.metadata)


@dataclass(frozen=True)
class Counted:
    """The collection's version, and how many of its points match."""

    version: int
    count: int


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


class Updated(NamedTuple):
    """The collection's version after the write, how many points were changed, and the ids that are not there."""

    version: int
    updated: int
    missing: List[str]
