"""Queues of negatives and idempotent requests."""

import threading

import numpy as np
import pytest
from problems import problem


@pytest.fixture
def queue(server):
    server.put("/queues/q", {"capacity": 4, "dim": 2})
    yield "q"
    server.delete("/queues/q")


def rows(*angles):
    return [[float(np.cos(angle)), float(np.sin(angle))] for angle in angles]


def moco(server, keys, queue="q", **more):
    return server.ask(
        "/loss", {"objective": "moco", "queries": keys, "keys": keys, "queue": queue, "temperature": 1.0, **more})


def expected(keys, held):
    """MoCo's loss where the queries equal the keys, with the rows in the queue as negatives."""
    keys, held = np.array(keys), np.array(held).reshape(-1, 2)
    sums = np.exp(1.0) + np.exp(keys @ held.T).sum(1)
    return float(np.mean(np.log(sums) - 1))


def test_life(server):
    assert server.put("/queues/life", {"capacity": 8, "dim": 3}).status_code == 201
    again = server.put("/queues/life", {"capacity": 8, "dim": 3})
    assert again.status_code == 200
    assert again.json() == {"name": "life", "capacity": 8, "dim": 3, "count": 0, "appended": 0}
    problem(server.put("/queues/life", {"capacity": 9, "dim": 3}), 409)
    assert any(queue["name"] == "life" for queue in server.get("/queues").json()["queues"])
    assert server.delete("/queues/life").status_code == 204
    problem(server.get("/queues/life"), 404, "queue")
    problem(server.delete("/queues/life"), 404, "queue")


@pytest.mark.parametrize("body, param", [
    ({"dim": 3}, "capacity"), ({"capacity": 0, "dim": 3}, "capacity"), ({"capacity": 5}, "dim"),
    ({"capacity": 5, "dim": 9000}, "dim"), ({"capacity": 5, "dim": 3, "x": 1}, "x"),
    ({"capacity": 1_000_000, "dim": 8192}, "capacity")])
def test_bad_queues(server, alive, body, param):
    problem(server.put("/queues/bad", body), 422, param)
    problem(server.put("/queues/b%20d", {"capacity": 1, "dim": 1}), 422, "name")


def test_first_in_first_out(server, queue):
    held = []
    for batch in [rows(0.1, 0.2), rows(0.3), rows(0.4, 0.5, 0.6), rows(*np.linspace(1, 2, 6))]:
        answer = moco(server, batch)
        assert answer["loss"] == pytest.approx(expected(batch, held), abs=1e-5)
        assert answer["candidates"] == 1 + len(held)
        held = (held + batch)[-4:]
    assert server.get("/queues/q").json() == {"name": "q", "capacity": 4, "dim": 2, "count": 4, "appended": 12}


def test_an_empty_queue_costs_nothing(server, queue):
    assert moco(server, rows(0.5, 1.5))["loss"] == 0


def test_only_reading(server, queue):
    moco(server, rows(0.3))
    for _ in range(2):
        use = {"name": "q", "update": False}
        assert moco(server, rows(1.0), queue=use)["loss"] == pytest.approx(expected(rows(1.0), rows(0.3)), abs=1e-5)
    assert server.get("/queues/q").json()["count"] == 1


def test_a_failure_appends_nothing(server, queue):
    problem(server.post("/loss", {"objective": "moco", "queries": [[1, 0]], "keys": [[0, 0]], "queue": "q"}), 422, "keys[0]")
    problem(server.post("/loss", {"objective": "moco", "queries": [[1, 0, 0]], "keys": [[1, 0, 0]], "queue": "q"}), 422, "queue")
    problem(server.post("/loss", {"objective": "moco", "queries": [[1, 0]], "keys": [[0, 1]], "queue": "none"}), 404, "queue")
    assert server.get("/queues/q").json()["count"] == 0


def test_together_each_sees_whole_batches(server):
    server.put("/queues/shared", {"capacity": 1000, "dim": 2})
    seen = []

    def work(number):
        for _ in range(10):
            seen.append(moco(server, rows(*[number / 10] * 7), queue="shared")["candidates"] - 1)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [7 * batch for batch in range(60)]
    assert server.get("/queues/shared").json()["appended"] == 420
    assert 'nearfar_queue_rows{queue="shared"} 420' in server.get("/metrics").text
    server.delete("/queues/shared")


def test_a_repeated_key_does_not_append_twice(server, queue):
    body = {"objective": "moco", "queries": rows(0.1), "keys": rows(0.1), "queue": "q", "return": ["per_row"]}
    first = server.post("/loss", body, headers={"Idempotency-Key": "one-1"})
    for _ in range(3):
        again = server.post("/loss", body, headers={"Idempotency-Key": "one-1"})
        assert (again.status_code, again.content) == (200, first.content)
    assert server.get("/queues/q").json()["appended"] == 1
    other = server.post("/loss", body, headers={"Idempotency-Key": "one-2"})
    assert other.content != first.content
    assert server.get("/queues/q").json()["appended"] == 2
    changed = {**body, "queries": rows(0.9)}
    problem(server.post("/loss", changed, headers={"Idempotency-Key": "one-1"}), 422, "Idempotency-Key")
    problem(server.post("/loss", body, headers={"Idempotency-Key": "x" * 256}), 422, "Idempotency-Key")


def test_the_same_key_at_the_same_time(server, queue):
    random = np.random.default_rng(2)
    batch = random.standard_normal((600, 2)).tolist()
    body = {"objective": "moco", "queries": batch, "keys": batch, "queue": "q", "return": ["per_row"]}
    answers = []

    def ask():
        answers.append(server.post("/loss", body, headers={"Idempotency-Key": "same"}).content)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    assert server.get("/queues/q").json()["appended"] == 600
