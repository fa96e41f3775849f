"""Three replicas over one database, of which every request reaches the next: to one client they look like one service."""

import random
import threading

import httpx
import numpy as np
import pytest
from database import Database
from nearfar import Client, Counted, GoneError, NotFoundError
from nearfar.versions import SEEN
from service import Service

REPLICAS = 3
OPERATIONS = 500
DIM = 4


class RoundRobin:
    """A balancer without affinity: sends each request to the next replica."""

    def __init__(self, urls):
        self._clients = [httpx.Client(base_url=url, timeout=30) for url in urls]
        self._lock, self._next = threading.Lock(), 0
        self.busy = 0

    def __call__(self, request):
        with self._lock:
            client = self._clients[self._next % len(self._clients)]
            self._next += 1
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        answer = client.request(request.method, request.url.raw_path.decode(), headers=headers, content=request.read())
        self.busy += answer.status_code == 503
        # The body has been decoded.
        kept = {name: value for name, value in answer.headers.items() if name not in ("content-encoding", "content-length")}
        return httpx.Response(answer.status_code, headers=kept, content=answer.content)

    def close(self):
        for client in self._clients:
            client.close()


@pytest.fixture(scope="module")
def replicas():
    database = Database()
    running = []
    try:
        for _ in range(REPLICAS):
            running.append(Service("--store", database.url))
        yield [each.url for each in running]
    finally:
        for each in running:
            each.stop()
        database.stop()


@pytest.fixture
def balancer(replicas):
    made = RoundRobin(replicas)
    yield made
    made.close()


def test_the_service_gives_tokens(replicas):
    answer = httpx.get(f"{replicas[0]}/collections/default")
    assert answer.headers[SEEN].startswith("default:")


def test_a_client_reads_what_it_wrote(connect, balancer):
    """Five hundred random operations on a collection that nobody else writes: every read agrees with a model, exactly."""
    client = connect("http://balancer", transport=httpx.MockTransport(balancer))
    client.create_collection("own", DIM, "dot")
    chance, model, version = random.Random(11), {}, 0
    for number in range(OPERATIONS):
        kind = chance.choice(["upsert", "upsert", "delete", "metadata", "point", "count", "list", "neighbors", "describe"])
        ids = [f"p{each}" for each in chance.sample(range(40), 3)]
        if kind == "upsert":
            vectors = np.array([[chance.random() for _ in range(DIM)] for _ in ids], "f4")
            version = client.upsert(ids, vectors, metadata=[{"n": number}] * 3, collection="own").version
            model.update((name, (row.tolist(), number)) for name, row in zip(ids, vectors))
        elif kind == "delete":
            done = client.delete_points(ids, collection="own")
            assert done.deleted == sum(name in model for name in ids) and done.version >= version
            version = done.version
            for name in ids:
                model.pop(name, None)
        elif kind == "metadata":
            done = client.update_metadata(ids, [{"n": number}] * 3, collection="own")
            assert done.missing == [name for name in ids if name not in model] and done.version >= version
            version = done.version
            model.update((name, (model[name][0], number)) for name in ids if name in model)
        elif kind == "point":
            if ids[0] in model:
                point = client.point(ids[0], "own")
                assert (point.vector.tolist(), point.metadata["n"]) == model[ids[0]]
            else:
                with pytest.raises(NotFoundError):
                    client.point(ids[0], "own")
        elif kind == "count":
            assert client.count_points("own") == Counted(version, len(model))
        elif kind == "list":
            found = {point.id: (point.vector.tolist(), point.metadata["n"]) for point in client.points("own", page_size=15)}
            assert found == model
        elif kind == "neighbors":
            found = client.neighbors(vectors=[1.0] * DIM, collection="own", k=50, exact=True, consistency=chance.choice([None, "strong"]))
            assert {near.id for near in found.results[0]} == set(model) and found.version == version
        else:
            seen = client.collection("own")
            assert (seen.version, seen.count) == (version, len(model))
    assert version > 100
    client.delete_collection("own")
    with pytest.raises(NotFoundError):
        client.collection("own")
    # The next collection of the name is another one everywhere.
    assert client.create_collection("own", DIM + 1).dim == DIM + 1
    for _ in range(2 * REPLICAS):
        assert client.collection("own").dim == DIM + 1
    client.delete_collection("own")
    assert balancer.busy == 0


def test_reads_never_go_back(connect, balancer, replicas):
    """Another client writes meanwhile: what was seen once is seen from then on."""
    client = connect("http://balancer", transport=httpx.MockTransport(balancer))
    client.create_collection("common", DIM, "dot")
    ended = threading.Event()

    def write():
        with Client(replicas[0]) as other:
            number = 0
            while not ended.is_set():
                number += 1
                other.upsert(["counter"], [[number, 0, 0, 0]], collection="common")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        chance, last, value, changes = random.Random(12), 0, 0.0, 0
        for _ in range(OPERATIONS):
            before = last
            if chance.random() < 0.3:
                last = client.count_points("common").version
            elif chance.random() < 0.5:
                last = client.collection("common").version
            else:
                page = client.list_points("common")
                seen = page.points[0].vector[0] if page.points else 0.0
                assert seen >= value
                value = seen
            assert last >= before
            changes += last > before
        assert changes > 20
    finally:
        ended.set()
        writer.join()
    # A strong read has what another client has just written through another replica.
    with Client(replicas[1]) as other, Client(replicas[2], track_versions=False) as third:
        for number in range(50):
            other.upsert(["counter"], [[number, 1, 0, 0]], collection="common")
            assert third.point("counter", "common", consistency="strong").vector.tolist() == [number, 1, 0, 0]
    client.delete_collection("common")


def test_a_collection_that_another_client_made_anew(connect, balancer, replicas):
    client = connect("http://balancer", transport=httpx.MockTransport(balancer))
    client.create_collection("anew", DIM)
    client.upsert(["a"], [[1.0] * DIM], collection="anew")
    with Client(replicas[0]) as other:
        other.delete_collection("anew")
        other.create_collection("anew", DIM)
        # A write is refused once; a read takes the new collection.
        with pytest.raises(GoneError) as caught:
            client.upsert(["b"], [[1.0] * DIM], collection="anew")
        assert caught.value.status == 410
        client.upsert(["b"], [[1.0] * DIM], collection="anew")
        assert [point.id for point in client.points("anew")] == ["b"]
        other.delete_collection("anew")
        other.create_collection("anew", DIM)
        assert client.collection("anew").count == 0
        client.delete_collection("anew")
