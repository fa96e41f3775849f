"""Calls that make, describe, delete and export collections."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, AsyncGenerator, Callable, Dict, List, Literal, Optional, Union

from .calls import Calls, call, stream
from .progress import progress_bar
from .results import Collection, Exported
from .session import Session, read_tensors
from .wire import NULL, Consistency, json_body, query, segment

# The number of points per answer when an export shows its progress.
EXPORT_PART = 10_000


class Collections(Calls):
    @call
    async def create_collection(
        self,
        name: str,
        dim: int,
        metric: Optional[str] = None,
        *,
        recall_target: Union[float, Literal["default"], None] = None,
    ) -> Collection:
        """Makes a collection. An existing one with the same dimension and metric keeps its points.

        metric: cosine (the default), dot or euclidean.
        recall_target: the recall@10, from 0.5 to 1, of searches that do not state one. It is also set for an existing
        collection: "default" resets it, and None leaves it unchanged.
        """
        target = NULL if isinstance(recall_target, str) and recall_target == "default" else recall_target
        body = json_body(dim=dim, metric=metric, recall_target=target)
        return await self._session.json(
            "PUT", f"/collections/{segment(name)}", Collection.read, pure=False, content=body, about=[name], anew=True
        )

    @call
    async def collection(self, name: str = "default", *, consistency: Optional[Consistency] = None) -> Collection:
        """Returns the description of a collection. consistency: see neighbors."""
        return await self._session.json(
            "GET",
            f"/collections/{segment(name)}",
            Collection.read,
            pure=True,
            params=query(consistency=consistency),
            about=[name],
            anew=True,
        )

    @call
    async def collections(self) -> List[Collection]:
        """Returns the descriptions of all collections, in the order of their names."""
        return await self._session.json(
            "GET", "/collections", lambda body: [Collection.read(entry) for entry in body["collections"]], pure=True
        )

    @call
    async def delete_collection(self, name: str) -> None:
        """Deletes a collection and its points."""
        await self._session.send("DELETE", f"/collections/{segment(name)}", pure=False, about=[name])

    @call
    async def export(
        self,
        collection: str = "default",
        *,
        after: Optional[str] = None,
        limit: Optional[int] = None,
        progress: bool = False,
    ) -> Exported:
        """Returns the points of a collection, with their vectors as one array. All are of one version, even if points are
        written meanwhile.

        after, limit: export at most `limit` points, in the order of ids, whose id is greater than `after`. When the ids,
        texts and metadata are too large for one file, the service refuses with 413; export_parts and progress=True avoid
        that, because they fetch the collection in parts.
        """
        params = {"after": after, "limit": limit, "part": EXPORT_PART if progress else None}
        parts = [part async for part in _parts(self._session, collection, params, progress)]
        return Exported.joined(parts)

    @stream
    async def export_parts(
        self,
        collection: str = "default",
        *,
        part_size: int = 100_000,
        after: Optional[str] = None,
        progress: bool = False,
    ) -> AsyncGenerator[Exported, None]:
        """Yields a collection in parts of at most `part_size` points, all of the same version.

        after: only points whose id is greater, to continue where an earlier export stopped (with the version of that time).
        The service keeps a version for two minutes after each part, and answers 409 when the next part is requested later.
        """
        async for part in _parts(self._session, collection, {"after": after, "part": part_size}, progress):
            yield part


async def _parts(
    session: Session, collection: str, given: Dict[str, Any], progress: bool
) -> AsyncGenerator[Exported, None]:
    path = f"/collections/{segment(collection)}/export"
    # The total for the progress is known only when the whole collection is exported.
    whole = given.get("after") is None and given.get("limit") is None
    params = query(**given)
    advance: Optional[Callable[[int], object]] = None
    with ExitStack() as stack:
        while True:
            response = await session.send("GET", path, pure=True, params=params, about=[collection], anew=True)
            part = read_tensors(response, Exported.read)
            if advance is None:
                total = part.collection.count if whole else None
                advance = stack.enter_context(progress_bar(progress, "export", total, "points"))
            advance(len(part))
            yield part
            if "next" not in response.links:
                return
            # The link is relative to this request's URL. It consists of a query that also names the version.
            path, params = path.partition("?")[0] + response.links["next"]["url"], None
