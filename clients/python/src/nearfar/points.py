"""Points of a collection: written, read, listed, counted, deleted, and the nearest of them found."""

from __future__ import annotations

from functools import partial
from typing import Any, AsyncGenerator, Dict, List, Literal, Mapping, Optional, Sequence, Union

from .batches import Batch, ListBatch, VectorBatch
from .calls import Calls, call, stream
from .progress import progress_bar
from .results import Counted, Deleted, Neighbors, Page, Point, Updated, Upserted
from .session import Session, read_json
from .wire import json_body, matrix, numbers, option_texts, segment

Metadata = Mapping[str, Any]
Include = Sequence[Literal["metadata", "text", "vector"]]


class Points(Calls):
    @call
    async def upsert(
        self,
        ids: Sequence[str],
        vectors: Any = None,
        *,
        texts: Optional[Sequence[Optional[str]]] = None,
        metadata: Optional[Sequence[Optional[Metadata]]] = None,
        collection: str = "default",
        idempotency_key: Optional[str] = None,
        batch_size: Optional[int] = None,
        progress: bool = False,
    ) -> Upserted:
        """Inserts or replaces points. A text without vectors is embedded, else only kept.

        vectors [n, dim] (array, tensor or lists), texts and metadata stand in the order of the ids; a text or metadata may
        be None. batch_size: points per request at most; without it, as many as the service takes.

        One request is applied whole or not at all. A call that needs several is not: when one of them fails, the points of
        those before it are stored, and the error says how many. The version is that of the last request.
        idempotency_key: a repetition of the call with the same key is answered from the service's memory and changes nothing.
        """
        ids = list(ids)
        vectors = None if vectors is None else matrix("vectors", vectors)
        for field, column in {"vector": vectors, "text": texts, "metadata": metadata}.items():
            if column is not None and len(column) != len(ids):
                raise ValueError(f"{len(ids)} ids, but {len(column)} of {field}")
        columns = {name: column for name, column in (("texts", texts), ("metadata", metadata)) if column is not None}
        batch: Batch
        if vectors is not None:
            batch = VectorBatch(vectors, {"ids": ids, **columns})
        else:
            batch = ListBatch("points", _records(ids, {"text": texts, "metadata": metadata}))
        parts = await self._session.in_batches(
            "PUT",
            _path(collection),
            batch,
            partial(read_json, read=lambda body: Upserted(body["version"], body["upserted"])),
            pure=idempotency_key is not None,
            idempotency_key=idempotency_key,
            batch_size=batch_size,
            progress=progress,
            title="upsert",
            unit="points",
            changes=True,
        )
        return Upserted(parts[-1].version, sum(part.upserted for part in parts))

    @call
    async def update_metadata(
        self,
        ids: Sequence[str],
        metadata: Sequence[Optional[Metadata]],
        *,
        mode: Literal["merge", "replace"] = "merge",
        collection: str = "default",
        idempotency_key: Optional[str] = None,
        batch_size: Optional[int] = None,
        progress: bool = False,
    ) -> Updated:
        """Changes the metadata of points; their vectors and texts stay as they are.

        mode: with merge, key by key, where None removes a key; with replace, as a whole, where None leaves no metadata. Ids
        that are not there are passed over and returned as `missing`. A call of several requests is not one batch, as with
        upsert.
        """
        ids = list(ids)
        if len(ids) != len(metadata):
            raise ValueError(f"{len(ids)} ids, but {len(metadata)} of metadata")
        parts = await self._session.in_batches(
            "PATCH",
            _path(collection),
            ListBatch("points", [{"id": name, "metadata": entry} for name, entry in zip(ids, metadata)], mode=mode),
            partial(read_json, read=lambda body: Updated(body["version"], body["updated"], list(body["missing"]))),
            pure=idempotency_key is not None,
            idempotency_key=idempotency_key,
            batch_size=batch_size,
            progress=progress,
            title="update",
            unit="points",
            changes=True,
        )
        missing = [name for part in parts for name in part.missing]
        return Updated(parts[-1].version, sum(part.updated for part in parts), missing)

    @call
    async def delete_points(
        self,
        ids: Optional[Sequence[str]] = None,
        *,
        filter: Optional[Metadata] = None,
        collection: str = "default",
        idempotency_key: Optional[str] = None,
        batch_size: Optional[int] = None,
        progress: bool = False,
    ) -> Deleted:
        """Deletes points by id or by filter; ids that are not there are passed over.

        A call with many ids may need several requests, which are not one batch; idempotency_key is as with upsert.
        """
        path, keyed = _path(collection) + "/delete", idempotency_key is not None
        if ids is None or filter is not None:
            # One request; with both, or neither, the service says what is wrong.
            body = json_body(ids=None if ids is None else list(ids), filter=filter)
            headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
            return await self._session.json("POST", path, _deleted, pure=keyed, content=body, headers=headers)
        parts = await self._session.in_batches(
            "POST",
            path,
            ListBatch("ids", list(ids)),
            partial(read_json, read=_deleted),
            pure=keyed,
            idempotency_key=idempotency_key,
            batch_size=batch_size,
            progress=progress,
            title="delete",
            unit="points",
            changes=True,
        )
        return Deleted(parts[-1].version, sum(part.deleted for part in parts))

    @call
    async def point(self, id: str, collection: str = "default") -> Point:
        """One point by its id."""
        return await self._session.json("GET", f"{_path(collection)}/{segment(id)}", Point.read, pure=True)

    @call
    async def count_points(self, collection: str = "default", *, filter: Optional[Metadata] = None) -> Counted:
        """How many points match a filter, or are there: what a deletion by that filter would take."""
        body = json_body(filter=filter)
        return await self._session.json(
            "POST",
            _path(collection) + "/count",
            lambda answer: Counted(answer["version"], answer["count"]),
            pure=True,
            content=body,
        )

    @call
    async def list_points(
        self,
        collection: str = "default",
        *,
        filter: Optional[Metadata] = None,
        include: Optional[Include] = None,
        after: Optional[str] = None,
        limit: int = 1000,
    ) -> Page:
        """One page of the points in the order of their ids, for a caller that keeps the place; see points.

        after: only points whose id is greater, such as the `next_after` of the page before.
        """
        return await _page(self._session, collection, filter, include, after, limit)

    @stream
    async def points(
        self,
        collection: str = "default",
        *,
        filter: Optional[Metadata] = None,
        include: Optional[Include] = None,
        after: Optional[str] = None,
        page_size: int = 1000,
        progress: bool = False,
    ) -> AsyncGenerator[Point, None]:
        """Every point in the order of ids, fetched page by page.

        filter: only points that it matches. include: of metadata, text and vector what each point shall carry, all three
        where it is None. after: only points whose id is greater. Each page is of the collection as it is then; export_parts
        gives one version.
        """
        with progress_bar(progress, "points", None, "points") as advance:
            while True:
                page = await _page(self._session, collection, filter, include, after, page_size)
                for point in page.points:
                    yield point
                advance(len(page.points))
                after = page.next_after
                # Not `len(page.points) < page_size`: the service may give fewer than asked for.
                if after is None:
                    return

    @call
    async def neighbors(
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
        filter: Optional[Metadata] = None,
        score_threshold: Optional[float] = None,
        include: Include = ("metadata",),
        batch_size: Optional[int] = None,
        progress: bool = False,
    ) -> Neighbors:
        """The k nearest points of each query: texts (`inputs`), `vectors` [n, dim] or [dim], or the `ids` of stored points.

        include: of metadata, text and vector what each neighbour shall carry. recall_target: the share of the ten nearest
        that a graph search is to find, from 0.5 to 1, where 1 is exact. ef: the breadth of a graph search instead.
        batch_size: queries per request at most; without it, as many as the service takes.
        """
        given = {"inputs": inputs, "vectors": vectors, "ids": ids}
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"exactly one of inputs, vectors and ids is needed, not {found}")
        options = {
            "collection": collection,
            "k": k,
            "exact": exact,
            "ef": ef,
            "recall_target": recall_target,
            "filter": filter,
            "score_threshold": score_threshold,
            "include": list(include),
        }
        batch: Batch
        if vectors is not None:
            queries = numbers(vectors)
            batch = VectorBatch(matrix("vectors", queries[None] if queries.ndim == 1 else queries), {}, option_texts(options))
        else:
            field, rows = next(iter(given.items()))
            batch = ListBatch(field, [rows] if isinstance(rows, str) else list(rows), **options)
        parts = await self._session.in_batches(
            "POST",
            "/neighbors",
            batch,
            partial(read_json, read=Neighbors.read),
            pure=True,
            batch_size=batch_size,
            progress=progress,
            title="neighbors",
            unit="queries",
        )
        return Neighbors.joined(parts)


async def _page(
    session: Session,
    collection: str,
    filter: Optional[Metadata],
    include: Optional[Include],
    after: Optional[str],
    limit: int,
) -> Page:
    path = _path(collection)
    if filter is None and include is None:
        # The route that every version of the service has.
        params = {name: value for name, value in (("limit", limit), ("after", after)) if value is not None}
        return await session.json("GET", path, Page.read, pure=True, params=params)
    wanted = ["metadata", "text", "vector"] if include is None else list(include)
    body = json_body(filter=filter, after=after, limit=limit, include=wanted)
    return await session.json("POST", path + "/list", Page.read, pure=True, content=body)


def _path(collection: str) -> str:
    return f"/collections/{segment(collection)}/points"


def _records(ids: Sequence[str], columns: Mapping[str, Optional[Sequence[Any]]]) -> List[Dict[str, Any]]:
    """A JSON object per point; a value that is None is left out."""
    records: List[Dict[str, Any]] = [{"id": name} for name in ids]
    for field, column in columns.items():
        for record, value in zip(records, column or ()):
            if value is not None:
                record[field] = value
    return records


def _deleted(body: Any) -> Deleted:
    return Deleted(body["version"], body["deleted"])
