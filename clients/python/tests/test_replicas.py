"""Three replicas over one database, of which every request reaches the next: to one client they look like one service."""

import random
import threading
from uuid import uuid4

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


def test_a_client_reads_what_it_wrote(connect, balancer, name):
    """Five hundred random operations on a collection that nobody else writes: every read agrees with a model, exactly."""
    client = connect("http://balancer", transport=httpx.MockTransport(balancer))
    client.create_collection(name, DIM, "dot")
    chance, model, version = random.Random(11), {}, 0
    for number in range(OPERATIONS):
        kind = chance.choice(["upsert", "upsert", "delete", "metadata", "point", "count", "list", "neighbors", "describe"])
        ids = [f"p{each}" for each in chance.sample(range(40), 3)]
        if kind == "upsert":
            vectors = np.array([[chance.random() for _ in range(DIM)] for _ in ids], "f4")
            version = client.upsert(ids, vectors, metadata=[{"n": number}] * 3, collection=name).version
            model.update((each, (row.tolist(), number)) for each, row in zip(ids, vectors))
        elif kind == "delete":
            done = client.delete_points(ids, collection=name)
            assert done.deleted == sum(each in model for each in ids) and done.version >= version
            version = done.version
            for each in ids:
                model.pop(each, None)
        elif kind == "metadata":
            done = client.update_metadata(ids, [{"n": number}] * 3, collection=name)
            assert done.missing == [each for each in ids if each not in model] and done.version >= version
            version = done.version
            model.update((each, (model[each][0], number)) for each in ids if each in model)
        elif kind == "point":
            if ids[0] in model:
                point = client.point(ids[0], name)
                assert (point.vector.tolist(), point.metadata["n"]) == model[ids[0]]
            else:
                with pytest.raises(NotFoundError):
                    client.point(ids[0], name)
        elif kind == "count":
            assert client.count_points(name) == Counted(version, len(model))
        elif kind == "list":
            found = {point.id: (point.vector.tolist(), point.metadata["n"]) for point in client.points(name, page_size=15)}
            assert found == model
        elif kind == "neighbors":
            found = client.neighbors(vectors=[1.0] * DIM, collection=name, k=50, exact=True, consistency=chance.choice([None, "strong"]))
            assert {near.id for near in found.results[0]} == set(model) and found.version == version
        else:
            seen = client.collection(name)
            assert (seen.version, seen.count) == (version, len(model))
    assert version > 100
    client.delete_collection(name)
    with pytest.raises(NotFoundError):
        client.collection(name)
    # The next collection of the name is another one everywhere.
    assert client.create_collection(name, DIM + 1).dim == DIM + 1
    for _ in range(2 * REPLICAS):
        assert client.collection(name).dim == DIM + 1
    assert balancer.busy == 0


@pytest.fixture
def name(replicas):
    """The name of a collection, which is deleted after the test."""
    made = f"c{uuid4().hex}"
    yield made
    httpx.delete(f"{replicas[0]}/collections/{made}")


def test_reads_never_go_back(connect, balancer, replicas, name):
    """Another client writes meanwhile: what was seen once is seen from then on."""
    client = connect("http://balancer", transport=httpx.MockTransport(balancer))
    client.create_collection(name, DIM, "dot")
    ended = threading.Event()

    def write():
        with Client(replicas[0]) as other:
            number = 0
            while not ended.is_set():
                number += 1
                other.upsert(["counter"], [[number, 0, 0, 0]], collection=name)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        chance, last, value, changes, reads = random.Random(12), 0, 0.0, 0, 0
        # On a busy machine the other client may need more time to be seen often.
        while reads < OPERATIONS or (changes < 20 and reads < 20 * OPERATIONS):
            before, kind = last, chance.choice(["count", "describe", "list"])
            reads += 1
            if kind == "count":
                last = client.count_points(name).version
            elif kind == "describe":
                last = client.collection(name).version
            else:
                page = client.list_points(name)
                seen = page.points[0].vector[0] if page.points else 0.0
                assert seen >= value
                value = seen
            assert last >= before
            changes += last > before
        assert changes >= 20
    finally:
        ended.set()
        writer.join()


def test_a_strong_read_has_what_another_client_has_written(replicas, name):
    with Client(replicas[1]) as writer, Client(replicas[2], track_versions=False) as reader:
        writer.create_collection(name, DIM, "dot")
        for number in range(50):
            writer.upsert(["counter"], [[number, 1, 0, 0]], collection=name)
            assert reader.point("counter", name, consistency="strong").vector.tolist() == [number, 1, 0, 0]
            assert reader.count_points(name, consistency="strong").version == number + 1
            assert reader.list_points(name, consistency="strong").points[0].vector[0] == number
            assert reader.collection(name, consistency="strong").version == number + 1
            found = reader.neighbors(vectors=[1.0] * DIM, collection=name, consistency="strong")
            assert found.version == number + 1


def test_a_queue_is_the_same_everywhere(connect, balancer, name):
    client = connect("http://balancer", transport=httpx.MockTransport(balancer))
    assert client.create_queue(name, capacity=64, dim=DIM).durable
    chance, appended = np.random.default_rng(13), 0
    for number in range(100):
        rows = chance.standard_normal((1 + number % 3, DIM)).astype("f4")
        update = bool(number % 4)
        found = client.loss(rows, rows, objective="moco", queue={"name": name, "update": update})
        assert found.candidates == 1 + min(appended, 64)
        appended += len(rows) if update else 0
        if number % 5 == 0:
            queue = client.queue(name)
            assert (queue.count, queue.appended) == (min(appended, 64), appended)
    client.delete_queue(name)
    for _ in range(REPLICAS):
        with pytest.raises(NotFoundError):
            client.queue(name)


def test_a_collection_that_another_client_made_anew(connect, balancer, replicas, name):
    client = connect("http://balancer", transport=httpx.MockTransport(balancer))
    client.create_collection(name, DIM)
    client.upsert(["a"], [[1.0] * DIM], collection=name)
    with Client(replicas[0]) as other:
        other.delete_collection(name)
        other.create_collection(name, DIM)
        # A write is refused once; a read takes the new collection.
        with pytest.raises(GoneError) as caught:
            client.upsert(["b"], [[1.0] * DIM], collection=name)
        assert caught.value.status == 410
        client.upsert(["b"], [[1.0] * DIM], collection=name)
        assert [point.id for point in client.points(name)] == ["b"]
        other.delete_collection(name)
        other.create_collection(name, DIM)
        assert client.collection(name).count == 0
