"""AsyncClient in the event loops of asyncio and trio. The other files test its calls together with those of Client."""

import asyncio
import inspect
import time

import anyio
import httpx
import numpy as np
import pytest
from nearfar import AsyncClient, Client, NearfarError, UnreachableError
from nearfar.calls import call, finish, stream

BOTH = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@BOTH
def test_every_kind_of_call(service, backend):
    async def main():
        async with AsyncClient(service.url) as client:
            rows = await client.embed(["a cat", "a car"])
            result = await client.loss(rows, rows, gradients=True)
            await client.create_collection("async", 3)
            await client.upsert(list("abc"), np.eye(3), collection="async")
            ids = [point.id async for point in client.points("async", page_size=2)]
            parts = [part.ids async for part in client.export_parts("async", part_size=2)]
            near = await client.neighbors(vectors=[1, 0, 0], collection="async", k=1)
            await client.delete_collection("async")
            return rows, result, ids, parts, near, await client.ready()

    rows, result, ids, parts, near, ready = anyio.run(main, backend=backend)
    with Client(service.url) as client:
        assert np.array_equal(rows, client.embed(["a cat", "a car"]))
        assert result.loss == client.loss(rows, rows).loss
    assert ids == list("abc") and parts == [["a", "b"], ["c"]] and near.results[0][0].id == "a" and ready is True


@BOTH
def test_calls_run_beside_each_other(service, backend):
    async def main():
        found = {}
        async with AsyncClient(service.url) as client:

            async def one(text):
                found[text] = await client.embed(text)

            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(one, f"text {number}")
        return found

    found = anyio.run(main, backend=backend)
    with Client(service.url) as client:
        expected = client.embed([f"text {number}" for number in range(20)])
    assert all(np.array_equal(found[f"text {number}"], expected[number]) for number in range(20))


@BOTH
def test_a_wait_for_a_busy_service_does_not_hold_up_the_loop(backend):
    answers = [httpx.Response(503, headers={"Retry-After": "1"}), httpx.Response(200, json=[0.5])]

    async def main():
        ticks = 0
        client = AsyncClient("http://service", transport=httpx.MockTransport(lambda _: answers.pop(0)))

        async def tick():
            nonlocal ticks
            while True:
                await anyio.sleep(0.05)
                ticks += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            found = await client.similarity("a", ["b"])
            tasks.cancel_scope.cancel()
        await client.close()
        return found.tolist(), ticks

    found, ticks = anyio.run(main, backend=backend)
    assert found == [0.5] and ticks > 5


def test_a_call_can_be_cancelled():
    async def slow(_):
        await asyncio.sleep(30)

    async def main():
        async with AsyncClient("http://service", transport=httpx.MockTransport(slow)) as client:
            await asyncio.wait_for(client.info(), 0.1)

    start = time.monotonic()
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(main())
    assert time.monotonic() - start < 10


def test_an_iterator_that_is_left_early(service):
    async def main():
        async with AsyncClient(service.url) as client:
            await client.create_collection("left", 3)
            await client.upsert(list("abc"), np.eye(3), collection="left")
            points = client.points("left", page_size=1)
            first = await points.__anext__()
            await points.aclose()
            await client.delete_collection("left")
            return first.id

    assert asyncio.run(main()) == "a"


def test_the_blocking_client_inside_a_running_loop(service):
    async def main():
        with Client(service.url) as client:
            client.create_collection("inside", 3)
            client.upsert(list("abc"), np.eye(3), collection="inside")
            points = client.points("inside", page_size=1)
            found = [next(points).id]
            del points
            found += [point.id for point in client.points("inside", after="a")]
            client.delete_collection("inside")
        return found

    assert asyncio.run(main()) == ["a", "b", "c"]


def calls_of(kind):
    return {name: value for name, value in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_both_clients_have_the_same_calls():
    blocking, awaiting = calls_of(Client), calls_of(AsyncClient)
    assert blocking.keys() == awaiting.keys() and len(blocking) > 20
    for name, function in blocking.items():
        assert inspect.signature(function) == inspect.signature(awaiting[name])
        assert function.__doc__ and function.__doc__ == awaiting[name].__doc__
        assert inspect.iscoroutinefunction(awaiting[name]) or inspect.isasyncgenfunction(awaiting[name])
        assert not inspect.iscoroutinefunction(function) and not inspect.isasyncgenfunction(function)


def test_help_and_bound_methods():
    client = Client("http://service")
    assert client.embed.__name__ == "embed" and "one row per text" in client.embed.__doc__
    assert "texts" in inspect.signature(client.embed).parameters and "self" not in inspect.signature(client.embed).parameters
    assert client.embed.__self__ is client
    client.close()


def test_a_coroutine_that_suspends_is_no_blocking_call():
    async def suspends():
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="suspended"):
        finish(suspends())
    assert call(suspends).__doc__ is None and stream(suspends).__doc__ is None


def test_errors_of_the_two_clients_are_alike(service):
    def refused():
        with Client("http://127.0.0.1:1", retries=0) as client:
            client.info()

    async def refused_too():
        async with AsyncClient("http://127.0.0.1:1", retries=0) as client:
            await client.info()

    texts = []
    for attempt in (refused, lambda: asyncio.run(refused_too())):
        with pytest.raises(UnreachableError) as caught:
            attempt()
        assert isinstance(caught.value, NearfarError) and isinstance(caught.value.__cause__, httpx.ConnectError)
        texts.append(str(caught.value).partition("; ")[2])
    assert texts[0] == texts[1] and texts[0].startswith("nothing listens at http://127.0.0.1:1: start the service")
