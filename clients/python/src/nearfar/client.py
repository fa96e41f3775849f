"""The calls of the service."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Literal, Mapping, Optional, Sequence, TypeVar, Union
from urllib.parse import quote

import httpx
import numpy as np

from .errors import NearfarError
from .results import Collection, Deleted, Exported, LossResult, Neighbors, Point, Queue, Upserted
from .safetensors import Tensors, decode
from .transport import Transport, unreadable
from .wire import JSON, NULL, SAFETENSORS, json_body, loss_body, numbers

Result = TypeVar("Result")
_JSON = {"Content-Type": JSON}


class Client:
    """A connection to a Nearfar service. Threads may share one; close it, or use it as a context manager.

    base_url: where the service listens, a path in front included.
    timeout: seconds that each step of a request (connect, send, wait for the answer) may take.
    retries: how often a call is repeated where that is safe: any call whose connection was refused; calls that change
    nothing, or that carry an idempotency key, also after a broken connection or a 503 with Retry-After.
    api_key: sent as a bearer token.
    transport: what carries the requests in place of the network, for tests.

    Every call raises NearfarError when the service refuses it and UnreachableError when it does not answer.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8080",
        timeout: float = 60.0,
        *,
        retries: int = 2,
        api_key: Optional[str] = None,
        transport: Optional[httpx.BaseTransport] = None,
    ) -> None:
        if retries < 0:
            raise ValueError(f"retries is {retries}, which is less than none")
        self._transport = Transport(base_url, timeout, retries, api_key, transport)

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Embedding

    def embed(
        self,
        texts: Union[str, Sequence[str]],
        normalize: bool = True,
        dimensions: Optional[int] = None,
        *,
        truncate: bool = True,
        prompt_name: Optional[str] = None,
        batch_size: int = 1024,
    ) -> "np.ndarray[Any, Any]":
        """float32 [n, dim], one row per text; a single text gives one row [dim].

        dimensions: keep the first so many values of a row and normalise again. truncate: with False, a text that is
        longer than the model takes is an error. batch_size: texts in one request; the rows do not depend on it.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, which is less than one")
        every = [texts] if isinstance(texts, str) else list(texts)
        options = {"normalize": normalize, "truncate": truncate, "dimensions": dimensions, "prompt_name": prompt_name}
        pieces = []
        # An empty list is sent too: the service has the say on what is wrong with it.
        for first in range(0, max(len(every), 1), batch_size):
            body = json_body(inputs=every[first : first + batch_size], **options)
            headers = {**_JSON, "Accept": SAFETENSORS}
            pieces.append(self._tensors("/embed", body, headers, True, lambda tensors, _: tensors["embeddings"]))
        rows = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return rows[0] if isinstance(texts, str) else rows

    def similarity(self, source: str, sentences: Sequence[str]) -> "np.ndarray[Any, Any]":
        """float32 [n], the cosine of the source with each sentence."""
        body = json_body(inputs={"source_sentence": source, "sentences": list(sentences)})
        return np.array(self._transport.json("POST", "/similarity", pure=True, content=body, headers=_JSON), np.float32)

    # Scoring

    def loss(
        self,
        queries: Any,
        keys: Any = None,
        negatives: Any = None,
        *,
        objective: str = "infonce",
        temperature: Optional[float] = None,
        labels: Any = None,
        positives: Any = None,
        normalize: Optional[bool] = None,
        in_batch_negatives: Optional[bool] = None,
        bias: Optional[float] = None,
        queue: Union[str, Mapping[str, Any], None] = None,
        per_row: bool = False,
        gradients: bool = False,
        diagnostics: bool = False,
        idempotency_key: Optional[str] = None,
    ) -> LossResult:
        """The loss of a batch.

        queries [N, d], keys [N, d] and negatives, [M, d] for all rows or [N, M, d] each row its own, are arrays or lists
        of numbers (sent as f32, or f16 where they are), or texts in the same shapes, which the service embeds first.
        objective: infonce, symmetric, nt_xent, dcl, supcon, sigmoid, simsiam, byol or moco.
        labels [N]: the classes for supcon. positives [N]: the place of each query's key where it is not its own.
        queue: the name of a queue to read and to append the keys to; {"name": …, "update": False} only reads.
        per_row, gradients, diagnostics: what to return beside the loss.
        idempotency_key: the service answers a repetition with the same key from its memory and appends to the queue once.

        An option that is None is not sent, and the service's default holds; one that the objective does not use is an
        error.
        """
        wanted = {"per_row": per_row, "gradients": gradients, "diagnostics": diagnostics}
        options = {
            "objective": objective,
            "temperature": temperature,
            "normalize": normalize,
            "in_batch_negatives": in_batch_negatives,
            "bias": bias,
            "queue": queue if queue is None or isinstance(queue, str) else dict(queue),
            "return": ["loss", *(name for name, on in wanted.items() if on)],
        }
        rows = {"queries": queries, "keys": keys, "negatives": negatives}
        body, content_type = loss_body(rows, {"labels": labels, "positives": positives}, options)
        headers = {"Content-Type": content_type, "Accept": SAFETENSORS}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        reads_only = queue is None or (not isinstance(queue, str) and queue.get("update") is False)
        return self._tensors("/loss", body, headers, reads_only or idempotency_key is not None, LossResult.read)

    def create_queue(self, name: str, capacity: int, dim: int) -> Queue:
        """Makes a queue of negatives; one that exists alike stays as it is, with what it holds."""
        return Queue.read(self._put(f"/queues/{segment(name)}", capacity=capacity, dim=dim))

    def queue(self, name: str) -> Queue:
        return Queue.read(self._get(f"/queues/{segment(name)}"))

    def queues(self) -> List[Queue]:
        """All queues, by name."""
        return [Queue.read(entry) for entry in self._get("/queues")["queues"]]

    def delete_queue(self, name: str) -> None:
        self._transport.send("DELETE", f"/queues/{segment(name)}", pure=False)

    # Retrieval

    def create_collection(
        self,
        name: str,
        dim: int,
        metric: Optional[str] = None,
        *,
        recall_target: Union[float, Literal["default"], None] = None,
    ) -> Collection:
        """Makes a collection (metric: cosine where none is named); one that exists alike keeps its points.

        recall_target: the recall@10, from 0.5 to 1, of searches that ask for none. A collection that exists is given it as
        well; "default" takes it back, and None leaves it as it is.
        """
        target = NULL if recall_target == "default" else recall_target
        return Collection.read(self._put(f"/collections/{segment(name)}", dim=dim, metric=metric, recall_target=target))

    def collection(self, name: str = "default") -> Collection:
        return Collection.read(self._get(f"/collections/{segment(name)}"))

    def collections(self) -> List[Collection]:
        """All collections, by name."""
        return [Collection.read(entry) for entry in self._get("/collections")["collections"]]

    def delete_collection(self, name: str) -> None:
        """Deletes a collection with its points."""
        self._transport.send("DELETE", f"/collections/{segment(name)}", pure=False)

    def upsert(
        self,
        ids: Sequence[str],
        vectors: Any = None,
        *,
        texts: Optional[Sequence[Optional[str]]] = None,
        metadata: Optional[Sequence[Optional[Mapping[str, Any]]]] = None,
        collection: str = "default",
        idempotency_key: Optional[str] = None,
    ) -> Upserted:
        """Inserts or replaces points, all of them or none. A text without vectors is embedded, else only kept.

        vectors [n, dim], texts and metadata stand in the order of the ids; a text or metadata may be None.
        idempotency_key: a repetition with the same key is answered from the service's memory and changes nothing.
        """
        columns = {"vector": None if vectors is None else numbers(vectors).tolist(), "text": texts, "metadata": metadata}
        points: List[Dict[str, Any]] = [{"id": name} for name in ids]
        for field, column in columns.items():
            if column is None:
                continue
            if len(column) != len(points):
                raise ValueError(f"{len(points)} ids, but {len(column)} of {field}")
            for point, value in zip(points, column):
                if value is not None:
                    point[field] = value
        path = f"/collections/{segment(collection)}/points"
        headers = _keyed(idempotency_key)
        once = idempotency_key is not None
        answer = self._transport.json("PUT", path, pure=once, content=json_body(points=points), headers=headers)
        return Upserted(answer["version"], answer["upserted"])

    def point(self, id: str, collection: str = "default") -> Point:
        """One point by its id."""
        return Point.read(self._get(f"/collections/{segment(collection)}/points/{segment(id)}"))

    def points(self, collection: str = "default", *, after: Optional[str] = None, page_size: int = 1000) -> Iterator[Point]:
        """Every point in the order of ids, those behind `after` where it is given, fetched page by page."""
        while True:
            params = {"limit": page_size} if after is None else {"limit": page_size, "after": after}
            page = self._get(f"/collections/{segment(collection)}/points", params)["points"]
            yield from map(Point.read, page)
            # Not `len(page) < page_size`: the service may give fewer than asked for.
            if not page:
                return
            after = page[-1]["id"]

    def export(
        self, collection: str = "default", *, after: Optional[str] = None, limit: Optional[int] = None
    ) -> Exported:
        """The collection with its vectors as one array: a version as it stood, whatever is written meanwhile.

        after, limit: a part in the order of ids. A collection whose ids and metadata are more than one file holds is refused
        with 413: export_parts has it.
        """
        params = {name: value for name, value in (("after", after), ("limit", limit)) if value is not None}
        path = f"/collections/{segment(collection)}/export"
        return _exported(self._transport.send("GET", path, pure=True, params=params))

    def export_parts(self, collection: str = "default", *, part_size: int = 100_000) -> Iterator[Exported]:
        """The collection in parts of at most `part_size` points, all of the version that the first one was of.

        The service keeps that version for two minutes behind each part; it answers 409 when the next is asked for later.
        """
        path = f"/collections/{segment(collection)}/export"
        query = f"?part={part_size}"
        while True:
            response = self._transport.send("GET", path + query, pure=True)
            yield _exported(response)
            if "next" not in response.links:
                return
            query = response.links["next"]["url"]

    def delete_points(
        self,
        ids: Optional[Sequence[str]] = None,
        *,
        filter: Optional[Mapping[str, Any]] = None,
        collection: str = "default",
        idempotency_key: Optional[str] = None,
    ) -> Deleted:
        """Deletes points by id or by filter; ids that are not there are passed over. idempotency_key as in upsert."""
        body = json_body(ids=None if ids is None else list(ids), filter=filter)
        path = f"/collections/{segment(collection)}/points/delete"
        headers = _keyed(idempotency_key)
        answer = self._transport.json("POST", path, pure=idempotency_key is not None, content=body, headers=headers)
        return Deleted(answer["version"], answer["deleted"])

    def neighbors(
        self,
        inputs: Union[str, Sequence[str], None] = None,
        *,
        vectors: Any = None,
        ids: Optional[Sequence[str]] = None,
        collection: str = "default",
        k: int = 10,
        exact: Optional[bool] = None,
        ef: Optional[int] = None,
        recall_target: Optional[float] = None,
        filter: Optional[Mapping[str, Any]] = None,
        score_threshold: Optional[float] = None,
        include: Sequence[str] = ("metadata",),
    ) -> Neighbors:
        """The k nearest points of each query: texts (`inputs`), `vectors` [n, dim], or the `ids` of stored points.

        include: of metadata, text and vector what each neighbour shall carry. recall_target: the share of the ten nearest
        that a graph search is to find, from 0.5 to 1, where 1 is exact. ef: the breadth of a graph search instead.
        """
        body = json_body(
            inputs=inputs if inputs is None or isinstance(inputs, str) else list(inputs),
            vectors=None if vectors is None else np.atleast_2d(numbers(vectors)).tolist(),
            ids=None if ids is None else list(ids),
            collection=collection,
            k=k,
            exact=exact,
            ef=ef,
            recall_target=recall_target,
            filter=filter,
            score_threshold=score_threshold,
            include=list(include),
        )
        return Neighbors.read(self._transport.json("POST", "/neighbors", pure=True, content=body, headers=_JSON))

    # Operation

    def info(self) -> Dict[str, Any]:
        """Model, dimension, limits, precision, threads and version of the service."""
        answer: Dict[str, Any] = self._get("/info")
        return answer

    def ready(self) -> bool:
        """Whether the service takes requests now: False while it loads its model, drains, or cannot be reached."""
        try:
            self._get("/readyz", pure=False)
        except NearfarError as error:
            if error.status in (None, 503):
                return False
            raise
        return True

    def _get(self, path: str, params: Optional[Mapping[str, Any]] = None, pure: bool = True) -> Any:
        return self._transport.json("GET", path, pure=pure, params=params)

    def _put(self, path: str, **fields: Any) -> Any:
        return self._transport.json("PUT", path, pure=False, content=json_body(**fields), headers=_JSON)

    def _tensors(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        pure: bool,
        read: Callable[[Tensors, Dict[str, str]], Result],
    ) -> Result:
        response = self._transport.send("POST", path, pure=pure, content=body, headers=headers)
        try:
            return read(*decode(response.content))
        except (KeyError, ValueError) as error:
            raise unreadable(response, f"not the safetensors that were due: {error}") from error


def _keyed(idempotency_key: Optional[str]) -> Dict[str, str]:
    return _JSON if idempotency_key is None else {**_JSON, "Idempotency-Key": idempotency_key}


def segment(name: str) -> str:
    """A name as one segment of a path."""
    # A segment of dots alone would be taken as a step in the path before it is sent.
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def _exported(response: httpx.Response) -> Exported:
    try:
        return Exported.read(*decode(response.content))
    except (KeyError, ValueError, TypeError) as error:
        raise unreadable(response, f"not the safetensors that were due: {error}") from error
