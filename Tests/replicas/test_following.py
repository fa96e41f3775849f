"""How replicas follow each other when they are in each other's way, and how one follows a standby."""

import json
import random
import threading
import time

import pytest
from database import Database, Lock
from replica import Replica, all_points, ask


@pytest.fixture(scope="module")
def pair():
    database = Database()
    replicas = [Replica(database.url) for _ in range(2)]
    yield database, replicas
    for replica in replicas:
        replica.stop()
    database.remove()


def make(replicas: list[Replica], name: str) -> str:
    """Makes a collection that every replica has; returns its path."""
    path = f"/collections/{name}"
    assert ask(replicas[0].port, "PUT", path, {"dim": 2, "metric": "cosine"})[0] == 201
    for replica in replicas:
        assert ask(replica.port, "GET", f"{path}?consistency=strong")[0] == 200
    return path


def put(replica: Replica, path: str, *ids: str, n: int = 0):
    points = [{"id": identity, "vector": [1, 2], "metadata": {"n": n}} for identity in ids]
    status, fields, content = ask(replica.port, "PUT", f"{path}/points", {"points": points})
    return status, fields.get("X-Nearfar-Version"), json.loads(content)


def test_a_held_collection_does_not_hold_up_the_others(pair):
    database, (first, second) = pair
    held, free = make([first, second], "held"), make([first, second], "free")
    lock = Lock(database, "SELECT 1 FROM nearfar.collections WHERE name = 'held' FOR UPDATE")
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(put(first, held, "a")))
    waiting.start()
    try:
        time.sleep(0.3)
        status, token, _ = put(second, free, "a")
        assert status == 200
        began = time.monotonic()
        # The replica whose write waits follows what the other has written meanwhile, and writes elsewhere.
        assert ask(first.port, "GET", f"{free}/points/a", None, {"X-Nearfar-Min-Version": token})[0] == 200
        assert put(first, free, "b")[0] == 200
        assert time.monotonic() - began < 2
        assert waiting.is_alive()
    finally:
        lock.release()
    waiting.join(15)
    assert answers and answers[0][0] == 200 and answers[0][2] == {"version": 1, "upserted": 1}


def test_versions_never_go_back(pair):
    """Deletions by filter are derived from a version, and have to be derived again when the other replica was faster."""
    _, replicas = pair
    path = make(replicas, "derived")
    stopping = threading.Event()
    problems: list[str] = []
    highest = [0, 0]
    outcomes: dict[tuple[bool, int], int] = {}

    def writes(number: int, derived: bool) -> None:
        chosen = random.Random(number)
        replica = replicas[number % 2]
        while not stopping.is_set():
            if derived:
                status, _, content = ask(replica.port, "POST", f"{path}/points/delete", {"filter": {"n": chosen.randrange(5)}})
            else:
                status, _, content = put(replica, path, f"{chosen.randrange(50)}", n=chosen.randrange(5))
            # So many writers at once may leave one no turn; it is told so, and may ask again.
            if status != 200 and (status != 503 or "keep changing" not in str(content)):
                problems.append(f"{status} {content}")
            outcomes[derived, status] = outcomes.get((derived, status), 0) + 1

    def reads(number: int) -> None:
        while not stopping.is_set():
            version = json.loads(ask(replicas[number].port, "POST", f"{path}/points/count", {})[2])["version"]
            if version < highest[number]:
                problems.append(f"replica {number} went back from {highest[number]} to {version}")
            highest[number] = max(highest[number], version)

    threads = [threading.Thread(target=writes, args=(number, number >= 4)) for number in range(8)]
    threads += [threading.Thread(target=reads, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(6)
    stopping.set()
    for thread in threads:
        thread.join(30)
    print(outcomes)
    assert problems == []
    assert min(highest) > 100 and outcomes[True, 200] > 20
    described = [json.loads(ask(replica.port, "GET", f"{path}/digest?consistency=strong")[2]) for replica in replicas]
    assert described[0] == described[1] and described[0]["version"] >= max(highest)
    one, other = (all_points(replica.port, path, strong=True) for replica in replicas)
    assert one == other


def test_a_follower_of_a_standby(pair):
    database, replicas = pair
    path = make(replicas, "standby")
    assert put(replicas[0], path, "a")[0] == 200
    standby = database.base_backup(standby=True)
    try:
        assert standby.ask("SELECT pg_is_in_recovery()") == "t"
        with Replica(standby.url, "--follow") as follower:
            assert all_points(follower.port, path) == all_points(replicas[0].port, path)
            status, token, _ = put(replicas[1], path, "b")
            assert status == 200
            status, _, content = ask(follower.port, "POST", f"{path}/points/count", {}, {"X-Nearfar-Min-Version": token})
            assert status == 200 and json.loads(content) == {"version": 2, "count": 2}
            status, _, answer = put(follower, path, "c")
            assert status == 503 and "read" in answer["detail"], answer
            # A standby sends no notifications; that is no reason to connect again and again.
            logged = (standby.folder / "server.log").read_text().count("LISTEN")
            time.sleep(2)
            assert (standby.folder / "server.log").read_text().count("LISTEN") - logged <= 6
    finally:
        standby.remove()
