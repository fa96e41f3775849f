"""Collections: made, described, deleted and exported."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, AsyncGenerator, Callable, Dict, List, Literal, Optional, Union

from .calls import Calls, call, stream
from .progress import progress_bar
from .results import Collection, Exported
from .session import Session, read_tensors
from .wire import NULL, json_body, segment

# Points in one answer of an export that shows its progress.
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
        """Makes a collection; one that exists with the same dimension and metric keeps its points.

        metric: cosine, dot or euclidean; cosine where it is None.
        recall_target: the recall@10, from 0.5 to 1, of searches that ask for none. A collection that exists is given it as
        well; "default" takes it back, and None leaves it as it is.
        """
        target = NULL if isinstance(recall_target, str) and recall_target == "default" else recall_target
        body = json_body(dim=dim, metric=metric, recall_target=target)
        return await self._session.json(
            "PUT", f"/collections/{segment(name)}", Collection.read, pure=False, content=body
        )

    @call
    async def collection(self, name: str = "default") -> Collection:
        """One collection by its name."""
        return await self._session.json("GET", f"/collections/{segment(name)}", Collection.read, pure=True)

    @call
    async def collections(self) -> List[Collection]:
        """All collections, by name."""
        return await self._session.json(
            "GET", "/collections", lambda body: [Collection.read(entry) for entry in body["collections"]], pure=True
        )

    @call
    async def delete_collection(self, name: str) -> None:
        """Deletes a collection with its points."""
        await self._session.send("DELETE", f"/collections/{segment(name)}", pure=False)

    @call
    async def export(
        self,
        collection: str = "default",
        *,
        after: Optional[str] = None,
        limit: Optional[int] = None,
        progress: bool = False,
    ) -> Exported:
        """The collection with its vectors as one array: one version, whatever is written meanwhile.

        after, limit: a part in the order of ids. A collection whose ids, texts and metadata are more than one file holds is
        refused with 413; export_parts and progress=True, which fetch it in parts, have it all the same.
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
        """The collection in parts of at most `part_size` points, all of the version that the first one was of.

        after: only points whose id is greater, to go on where an earlier export stopped (of the version as it is then). The
        service keeps a version for two minutes after each part, and answers 409 when the next is asked for later.
        """
        async for part in _parts(self._session, collection, {"after": after, "part": part_size}, progress):
            yield part


async def _parts(
    session: Session, collection: str, params: Dict[str, Any], progress: bool
) -> AsyncGenerator[Exported, None]:
    path = f"/collections/{segment(collection)}/export"
    params = {name: value for name, value in params.items() if value is not None}
    # How many points a part of the collection has is not known before.
    whole = "after" not in params and "limit" not in params
    query: Optional[Dict[str, Any]] = params
    advance: Optional[Callable[[int], object]] = None
    with ExitStack() as stack:
        while True:
            response = await session.send("GET", path, pure=True, params=query)
            part = read_tensors(response, Exported.read)
            if advance is None:
                total = part.collection.count if whole else None
                advance = stack.enter_context(progress_bar(progress, "export", total, "points"))
            advance(len(part))
            yield part
            if "next" not in response.links:
                return
            # The link is a reference to this request's URL: a query, which names the version too.
            path, query = path.partition("?")[0] + response.links["next"]["url"], None
