"""The types that calls return."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from .safetensors import Tensors

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class LossResult:
    """The loss of a batch.

    loss: the mean of the rows' losses, in nats for the objectives with a softmax.
    candidates: the largest number of candidates in a row's softmax. temperature: None for an objective without one.
    per_row: float32 [N], or [2N] for nt_xent and for supcon with keys; None unless requested.
    gradients: the gradients of the loss with respect to `queries`, `keys`, `negatives`, `temperature` and `bias`, as far as the
    objective depends on these, as float32 arrays in the shapes that were sent; empty unless requested.
    diagnostics: empty unless requested. excluded: rows without a partner (supcon).
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
        """Reads a safetensors answer. Raises KeyError or ValueError when something in it is missing or malformed."""
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
    """Parses a value of the metadata, which is JSON text or a bare word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class Point:
    """A point of a collection. vector: float32 [dim]. Members that were not requested or that the point lacks are None."""

    id: str
    vector: Optional[Floats] = None
    text: Optional[str] = None
    metadata: Optional[Dict[str, Any]] = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Point":
        return cls(body["id"], _vector(body), body.get("text"), body.get("metadata"))


@dataclass(frozen=True)
class Page:
    """Points in the order of their ids. next_after: the `after` for the next page; None on the last page."""

    points: List[Point]
    next_after: Optional[str] = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Page":
        points = [Point.read(entry) for entry in body["points"]]
        # An older service does not return next_after. Then the next page begins after the last point, until a page is empty.
        last = points[-1].id if points else None
        return cls(points, body.get("next_after", last))


@dataclass(frozen=True)
class Neighbor:
    """A point that was found. Members that were not requested or that the point lacks are None."""

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
    """The neighbours of each query, best first, in the collection's version `version`.

    mode: `exact` or `graph`. short_reasons: None, or for each query the reason why it has fewer than k neighbours (None
    where it has k). ef: the number of candidates of a graph search. expected_recall: its recall@10 as measured on the
    collection.

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
        """Joins the answers to the requests of one call."""
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

    model: the fingerprint of the model that embedded its texts; None until a text has been embedded.
    recall_target: the recall@10 of searches that do not state one; None from an older service, which does not return it.
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
    """The points of one version of a collection, or a part of them, in the order of ids. Iterating over it yields points.

    vectors: float32 [n, dim]. metadata, texts: None where a point has none.
    """

    collection: Collection
    ids: List[str] = field(repr=False)
    vectors: Floats = field(repr=False)
    metadata: List[Optional[Dict[str, Any]]] = field(repr=False)
    texts: List[Optional[str]] = field(repr=False)

    @classmethod
    def read(cls, tensors: Tensors, metadata: Mapping[str, str]) -> "Exported":
        """Reads a safetensors answer. Raises KeyError or ValueError when something in it is missing or malformed."""
        said = {name: json.loads(metadata[name]) for name in ("collection", "ids", "metadata", "texts")}
        return cls(
            Collection.read(said["collection"]), said["ids"], tensors["vectors"], said["metadata"], said["texts"]
        )

    @classmethod
    def joined(cls, parts: Sequence["Exported"]) -> "Exported":
        """Joins consecutive parts of one version."""
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
    """The collection's version, and the number of points that match."""

    version: int
    count: int


@dataclass(frozen=True)
class Queue:
    """A queue of negatives. It holds `count` of at most `capacity` rows; `appended` rows were appended since it was made.

    durable: whether it is in the database that replicas share. Otherwise it ends with the service's process.
    """

    name: str
    capacity: int
    dim: int
    count: int
    appended: int
    durable: bool = False

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Queue":
        durable = body.get("durable", False)
        return cls(body["name"], body["capacity"], body["dim"], body["count"], body["appended"], durable)


class Upserted(NamedTuple):
    """The collection's version after the write, and the number of points written."""

    version: int
    upserted: int


class Deleted(NamedTuple):
    """The collection's version after the write, and the number of points deleted."""

    version: int
    deleted: int


class Updated(NamedTuple):
    """The collection's version after the write, the number of points changed, and the unknown ids."""

    version: int
    updated: int
    missing: List[str]
