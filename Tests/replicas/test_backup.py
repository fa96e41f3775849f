"""PostgreSQL's own backups, taken while clients write, are whole: a service on them has every batch up to a version, and none beyond."""

import json
import threading
import time

import pytest
from database import Database
from replica import Replica, all_points, ask

PATH = "/collections/kept"


class Writer(threading.Thread):
    """Writes batches until it is stopped; `batches` has those that were answered, in the order of their versions."""

    def __init__(self, replica: Replica) -> None:
        super().__init__(daemon=True)
        self.replica, self.batches, self.stopping = replica, [], threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            number = len(self.batches)
            points = [{"id": f"{(number * 7 + n) % 300}", "vector": [float(number), 1.0 + n]} for n in range(5)]
            status, _, content = ask(self.replica.port, "PUT", f"{PATH}/points", {"points": points})
            assert status == 200 and json.loads(content)["version"] == number + 1, content
            self.batches.append(points)

    def state(self, version: int) -> dict[str, dict]:
        return {point["id"]: point for batch in self.batches[:version] for point in batch}


@pytest.fixture(scope="module")
def written():
    """A database and a replica that is written to, and backups of both kinds that were taken meanwhile."""
    database = Database()
    replica = Replica(database.url)
    assert ask(replica.port, "PUT", PATH, {"dim": 2, "metric": "cosine"})[0] == 201
    writer = Writer(replica)
    writer.start()
    time.sleep(0.5)
    before = len(writer.batches)
    dump = database.dump()
    copy = database.base_backup()
    after = len(writer.batches) + 1
    time.sleep(0.2)
    writer.stopping.set()
    writer.join()
    yield database, replica, writer, dump, copy, (before, after)
    replica.stop()
    copy.remove()
    database.remove()


def check(database: Database, writer: Writer, bounds: tuple[int, int]) -> int:
    """A replica on `database` has exactly the points of its version, and goes on from there; returns the version."""
    with Replica(database.url) as replica:
        version = json.loads(ask(replica.port, "GET", PATH)[2])["version"]
        assert bounds[0] <= version <= bounds[1]
        assert all_points(replica.port, PATH) == writer.state(version)
        status, _, content = ask(replica.port, "PUT", f"{PATH}/points", {"points": [{"id": "new", "vector": [1, 1]}]})
        assert status == 200 and json.loads(content)["version"] == version + 1
        return version


def test_a_dump(written):
    _, _, writer, dump, _, bounds = written
    fresh = Database()
    try:
        fresh.restore(dump)
        check(fresh, writer, bounds)
    finally:
        fresh.remove()


def test_a_base_backup(written):
    _, _, writer, _, copy, bounds = written
    check(copy, writer, bounds)


def test_replicas_notice_that_an_older_state_was_restored(written):
    database, replica, writer, dump, _, _ = written
    newest = json.loads(ask(replica.port, "GET", PATH)[2])["version"]
    assert newest == len(writer.batches)
    token = ask(replica.port, "GET", PATH)[1]["X-Nearfar-Version"]
    database.restore("DROP SCHEMA nearfar CASCADE;\n" + dump)
    older = int(database.ask("SELECT version FROM nearfar.collections WHERE name = 'kept'"))
    assert older < newest
    deadline = time.monotonic() + 20
    while json.loads(ask(replica.port, "GET", PATH)[2]).get("version") != older:
        assert time.monotonic() < deadline, ask(replica.port, "GET", PATH)
        time.sleep(0.1)
    assert all_points(replica.port, PATH) == writer.state(older)
    # What a client has seen since is lost, and it is told so instead of an older answer.
    status, _, content = ask(replica.port, "GET", f"{PATH}/points?limit=1", None, {"X-Nearfar-Min-Version": token})
    assert status in (410, 503), content
