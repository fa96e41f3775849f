"""Calls that write, read, list, count, delete and search the points of a collection."""

from __future__ import annotations

from functools import partial
from typing import Any, AsyncGenerator, Dict, List, Literal, Mapping, Optional, Sequence, Union

from .batches import Batch, ListBatch, VectorBatch
from .calls import Calls, call, stream
from .progress import progress_bar
from .results import Counted, Deleted, Neighbors, Page, Point, Updated, Upserted
from .session import Session, read_json
from .wire import Consistency, json_body, matrix, numbers, option_texts, query, segment

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
        """Inserts or replaces points. Texts are embedded when there are no vectors, and otherwise only stored.

        vectors [n, dim] (an array, a tensor or lists), texts and metadata are in the order of the ids; a text or metadata
        may be None. batch_size: the most points per request; by default, as many as the service accepts.

        A single request is applied completely or not at all. A call that needs several requests is not: when one of them
        fails, the points of the earlier ones are stored, and the error says how many. The version is that of the last
        request. idempotency_key: when the call is repeated with the same key, the service repeats its answer and changes
        nothing. Without one, a new key protects the repetitions that the client makes by itself.
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
        key = self._session.key(idempotency_key)
        parts = await self._session.in_batches(
            "PUT",
            _path(collection),
            batch,
            partial(read_json, read=lambda body: Upserted(body["version"], body["upserted"])),
            pure=key is not None,
            idempotency_key=key,
            batch_size=batch_size,
            progress=progress,
            title="upsert",
            unit="points",
            changes=True,
            about=[collection],
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

        mode: "merge" sets the given keys, and removes those whose value is None; "replace" replaces all metadata, and None
        removes it. Unknown ids are skipped and returned as `missing`. As with upsert, a call that needs several requests is
        not applied as one batch.
        """
        ids = list(ids)
        if len(ids) != len(metadata):
            raise ValueError(f"{len(ids)} ids, but {len(metadata)} of metadata")
        key = self._session.key(idempotency_key)
        parts = await self._session.in_batches(
            "PATCH",
            _path(collection),
            ListBatch("points", [{"id": name, "metadata": entry} for name, entry in zip(ids, metadata)], mode=mode),
            partial(read_json, read=lambda body: Updated(body["version"], body["updated"], list(body["missing"]))),
            pure=key is not None,
            idempotency_key=key,
            batch_size=batch_size,
            progress=progress,
            title="update",
            unit="points",
            changes=True,
            about=[collection],
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
        """Deletes points by id or by filter. Unknown ids are skipped.

        A call with many ids may need several requests, which are not applied as one batch. idempotency_key: see upsert.
        """
        path, key = _path(collection) + "/delete", self._session.key(idempotency_key)
        if ids is None or filter is not None:
            # This is a single request. When both or neither are given, the service says what is wrong.
            body = json_body(ids=None if ids is None else list(ids), filter=filter)
            headers = {} if key is None else {"Idempotency-Key": key}
            return await self._session.json(
                "POST", path, _deleted, pure=key is not None, content=body, headers=headers, about=[collection]
            )
        parts = await self._session.in_batches(
            "POST",
            path,
            ListBatch("ids", list(ids)),
            partial(read_json, read=_deleted),
            pure=key is not None,
            idempotency_key=key,
            batch_size=batch_size,
            progress=progress,
            title="delete",
            unit="points",
            changes=True,
            about=[collection],
        )
        return Deleted(parts[-1].version, sum(part.deleted for part in parts))

    @call
    async def point(
        self, id: str, collection: str = "default", *, consistency: Optional[Consistency] = None
    ) -> Point:
        """Returns the point with this id. consistency: see neighbors."""
        return await self._session.json(
            "GET",
            f"{_path(collection)}/{segment(id)}",
            Point.read,
            pure=True,
            params=query(consistency=consistency),
            about=[collection],
            anew=True,
        )

    @call
    async def count_points(
        self,
        collection: str = "default",
        *,
        filter: Optional[Metadata] = None,
        consistency: Optional[Consistency] = None,
    ) -> Counted:
        """Returns the number of points that match a filter, or of all points. A deletion with the filter deletes that many.

        consistency: see neighbors.
        """
        body = json_body(filter=filter, consistency=consistency)
        return await self._session.json(
            "POST",
            _path(collection) + "/count",
            lambda answer: Counted(answer["version"], answer["count"]),
            pure=True,
            content=body,
            about=[collection],
            anew=True,
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
        consistency: Optional[Consistency] = None,
    ) -> Page:
        """Returns one page of the points in the order of their ids; the iterator `points` fetches all pages.

        after: only points whose id is greater, such as the `next_after` of the previous page. consistency: see neighbors.
        """
        return await _page(self._session, collection, filter, include, after, limit, consistency)

    @stream
    async def points(
        self,
        collection: str = "default",
        *,
        filter: Optional[Metadata] = None,
        include: Optional[Include] = None,
        after: Optional[str] = None,
        page_size: int = 1000,
        consistency: Optional[Consistency] = None,
        progress: bool = False,
    ) -> AsyncGenerator[Point, None]:
        """Yields every point in the order of ids, fetched page by page.

        filter: only points that match it. include: which of metadata, text and vector each point has; all three when it is
        None. after: only points whose id is greater. Each page shows the collection at the time when it is fetched;
        export_parts yields points of one version. consistency: see neighbors.
        """
        with progress_bar(progress, "points", None, "points") as advance:
            while True:
                page = await _page(self._session, collection, filter, include, after, page_size, consistency)
                for point in page.points:
                    yield point
                advance(len(page.points))
                after = page.next_after
                # The number of points does not tell, because the service may return fewer than requested.
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
        consistency: Optional[Consistency] = None,
        batch_size: Optional[int] = None,
        progress: bool = False,
    ) -> Neighbors:
        """Returns the k nearest points of each query. Queries are texts (`inputs`), `vectors` [n, dim] or [dim], or the `ids`
        of stored points.

        include: which of metadata, text and vector each neighbour has. recall_target: the share of the ten nearest points
        that a graph search must find, from 0.5 to 1, where 1 is exact. ef: the number of candidates of a graph search,
        instead of recall_target. batch_size: the most queries per request; by default, as many as the service accepts.

        consistency: "strong" finds everything that anybody had written before the call, also through another replica, and fails
        when the replicas' database is away. By default ("eventual") only what this client has written or seen is sure to be
        there, and what others write follows within moments.
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
            "consistency": consistency,
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
            about=[collection],
        )
        return Neighbors.joined(parts)


async def _page(
    session: Session,
    collection: str,
    filter: Optional[Metadata],
    include: Optional[Include],
    after: Optional[str],
    limit: int,
    consistency: Optional[Consistency],
) -> Page:
    path = _path(collection)
    about = [collection]
    if filter is None and include is None:
        # Every version of the service has this route.
        params = query(limit=limit, after=after, consistency=consistency)
        return await session.json("GET", path, Page.read, pure=True, params=params, about=about, anew=True)
    wanted = ["metadata", "text", "vector"] if include is None else list(include)
    body = json_body(filter=filter, after=after, limit=limit, include=wanted, consistency=consistency)
    return await session.json("POST", path + "/list", Page.read, pure=True, content=body, about=about, anew=True)


def _path(collection: str) -> str:
    return f"/collections/{segment(collection)}/points"


def _records(ids: Sequence[str], columns: Mapping[str, Optional[Sequence[Any]]]) -> List[Dict[str, Any]]:
    """One JSON object per point, without values that are None."""
    records: List[Dict[str, Any]] = [{"id": name} for name in ids]
    for field, column in columns.items():
        for record, value in zip(records, column or ()):
            if value is not None:
                record[field] = value
    return records


def _deleted(body: Any) -> Deleted:
    return Deleted(body["version"], body["deleted"])
