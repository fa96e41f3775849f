"""States the types of both clients' calls. test_types.py runs type checkers on this file, which is never executed."""

from typing import Any, AsyncGenerator, Dict, Iterator, List, Optional

import numpy as np
from nearfar import AsyncClient, Client, Collection, Deleted, Exported, LossResult, Neighbors, Point, Queue, Upserted
from numpy.typing import NDArray
from typing_extensions import assert_type


def blocking(client: Client) -> None:
    assert_type(client.embed("near", dimensions=4), NDArray[np.float32])
    assert_type(client.loss([[1.0]], gradients=True), LossResult)
    assert_type(client.create_queue("a", 4, 4), Queue)
    assert_type(client.create_collection("a", 4, recall_target="default"), Collection)
    assert_type(client.upsert(["a"], np.eye(1), progress=True), Upserted)
    assert_type(client.delete_points(["a"]), Deleted)
    assert_type(client.points(page_size=3), Iterator[Point])
    assert_type(client.export_parts(), Iterator[Exported])
    assert_type(client.neighbors("near", include=["text"]), Neighbors)
    assert_type(client.collections(), List[Collection])
    assert_type(client.info(), Dict[str, Any])
    assert_type(client.point("a").vector, Optional[NDArray[np.float32]])
    with client as entered:
        assert_type(entered, Client)


async def awaiting(client: AsyncClient) -> None:
    assert_type(await client.embed("near", dimensions=4), NDArray[np.float32])
    assert_type(await client.upsert(["a"], texts=["t"]), Upserted)
    assert_type(client.points(page_size=3), AsyncGenerator[Point, None])
    async for part in client.export_parts(part_size=3):
        assert_type(part, Exported)
        for point in part:
            assert_type(point, Point)
    async with client as entered:
        assert_type(entered, AsyncClient)
