"""Three replicas on one database: what one has answered, the others have seen."""

import time

import numpy as np
import pytest
from database import DatabaseServer
from process import Server

TOKEN = "X-Nearfar-Version"
SEEN = "X-Nearfar-Min-Version"


@pytest.fixture(scope="module")
def database():
    with DatabaseServer() as running:
        yield running


class Replica(Server):
    """Repeats what it is told to repeat later, as clients do: on a busy machine a replica may take long to catch up."""

    attempts = 10

    def request(self, method, path, **options):
        for attempt in range(self.attempts):
            answer = super().request(method, path, **options)
            if answer.status_code != 503:
                break
        return answer


@pytest.fixture(scope="module")
def replicas(database):
    with Replica("--store", database.url, "--threads", "1") as a:
        with Replica("--threads", "1", environment={"NEARFAR_STORE": database.url}) as b:
            with Replica("--store", database.url, "--threads", "1", "--follow") as c:
                yield [a, b, c]


@pytest.fixture
def once(monkeypatch):
    monkeypatch.setattr(Replica, "attempts", 1)


@pytest.fixture
def made(replicas, request):
    """A collection of two dimensions, and its token."""
    name = "".join(each if each.isalnum() else "-" for each in request.node.name)
    answer = replicas[0].put(f"/collections/{name}", {"dim": 2, "metric": "euclidean"})
    assert answer.status_code == 201
    yield name, answer.headers[TOKEN]
    replicas[0].delete(f"/collections/{name}")


def put(replica, name, *points, **headers):
    body = {"points": [{"id": id, "vector": vector} for id, vector in points]}
    answer = replica.put(f"/collections/{name}/points", body, headers={key.replace("_", "-"): value for key, value in headers.items()})
    return answer


def test_everyone_reads_what_they_wrote(replicas, made):
    name, token = made
    random = np.random.default_rng(7)
    expected = {}
    for step in range(120):
        writer, reader = replicas[step % 2], replicas[(step + 1) % 3]
        id, vector = f"p{random.integers(30)}", [float(value) for value in random.integers(0, 100, 2)]
        if id in expected and step % 4 == 3:
            answer = writer.post(f"/collections/{name}/points/delete", {"ids": [id]}, headers={SEEN: token})
            assert answer.json() == {"version": step + 1, "deleted": 1}
            del expected[id]
        else:
            answer = put(writer, name, (id, vector), X_Nearfar_Min_Version=token)
            assert answer.json() == {"version": step + 1, "upserted": 1}
            expected[id] = vector
        token = answer.headers[TOKEN]
        assert token.split(":")[0] == name and token.split(":")[2] == str(step + 1)
        listed = reader.get(f"/collections/{name}/points?limit=1000", headers={SEEN: token})
        assert listed.status_code == 200 and listed.headers[TOKEN] == token
        assert {each["id"]: each["vector"] for each in listed.json()["points"]} == expected
        assert listed.json()["version"] == step + 1
    digests = [each.get(f"/collections/{name}/digest", headers={SEEN: token}) for each in replicas]
    assert [each.json() for each in digests] == [digests[0].json()] * 3
    assert digests[0].json()["version"] == 120 and digests[0].json()["epoch"] == int(token.split(":")[1])
    body = {"collection": name, "vectors": random.integers(0, 100, (20, 2)).tolist(), "k": 10, "exact": True}
    found = [each.post("/neighbors", body, headers={SEEN: token}).content for each in replicas]
    assert found == [found[0]] * 3


def test_a_strong_read_sees_what_was_committed_elsewhere(replicas, made):
    name, _ = made
    for step in range(40):
        assert put(replicas[step % 2], name, (f"s{step}", [step, 1])).status_code == 200
        reader = replicas[(step + 1) % 3]
        nearest = reader.post(
            "/neighbors", {"collection": name, "vectors": [[step, 1]], "k": 1, "exact": True, "consistency": "strong"}
        ).json()
        assert nearest["results"][0][0]["id"] == f"s{step}" and nearest["version"] == step + 1
        counted = reader.post(f"/collections/{name}/points/count", {"consistency": "strong"}).json()
        assert counted == {"version": step + 1, "count": step + 1}
        assert reader.get(f"/collections/{name}?consistency=strong").json()["count"] == step + 1
    answer = replicas[0].get(f"/collections/{name}?consistency=weak")
    assert answer.status_code == 422 and answer.json()["param"] == "consistency"


def test_a_replica_that_stays_behind_says_so(replicas, made, once):
    name, token = made
    ahead = ":".join(token.split(":")[:2] + ["5"])
    began = time.monotonic()
    answer = replicas[1].get(f"/collections/{name}", headers={SEEN: ahead})
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) >= 1
    assert "version 5" in answer.json()["detail"]
    assert 0.9 < time.monotonic() - began < 5


def test_a_collection_made_anew_is_another(replicas, made):
    name, token = made
    gone = replicas[0].delete(f"/collections/{name}")
    assert gone.status_code == 204
    for replica in replicas:
        assert replica.get(f"/collections/{name}", headers={SEEN: gone.headers[TOKEN]}).status_code == 404
    again = replicas[1].put(f"/collections/{name}", {"dim": 3})
    assert again.status_code == 201
    for replica in replicas:
        found = replica.get(f"/collections/{name}", headers={SEEN: again.headers[TOKEN]})
        assert found.status_code == 200 and found.json()["dim"] == 3, found.text
        answer = replica.get(f"/collections/{name}", headers={SEEN: token})
        assert answer.status_code == 410 and answer.json()["param"] == SEEN


@pytest.mark.parametrize("token", ["", "a", "a:1", "a:1:-2", "a:+1:2", "a b:1:2", "a:1:2,", "a:1:99999999999999999999"])
def test_what_is_no_token_is_refused(replicas, made, token):
    answer = replicas[0].get(f"/collections/{made[0]}", headers={SEEN: token})
    assert answer.status_code == 422 and answer.json()["param"] == SEEN


def test_several_tokens(replicas, made):
    name, token = made
    newer = put(replicas[0], name, ("x", [1, 2])).headers[TOKEN]
    answer = replicas[2].get(f"/collections/{name}", headers={SEEN: f"{token}, {newer}"})
    assert answer.headers.get(TOKEN) == newer, answer.text


def test_a_collection_just_made_elsewhere_is_found_without_a_token(replicas):
    for step in range(10):
        name = f"fresh{step}"
        assert replicas[step % 2].put(f"/collections/{name}", {"dim": 2}).status_code == 201
        assert put(replicas[(step + 1) % 2], name, ("x", [1, 2])).status_code == 200
        found = replicas[2].post("/neighbors", {"collection": name, "vectors": [[1, 2]], "consistency": "strong"})
        assert found.json()["results"][0][0]["id"] == "x"
        replicas[0].delete(f"/collections/{name}")


def test_a_write_is_done_once_whoever_is_asked(replicas, made, database):
    name, _ = made
    first = put(replicas[0], name, ("x", [1, 2]), Idempotency_Key="once")
    later = put(replicas[0], name, ("x", [3, 4]))
    again = put(replicas[1], name, ("x", [1, 2]), Idempotency_Key="once")
    assert again.status_code == 200 and again.json() == first.json() == {"version": 1, "upserted": 1}
    point = replicas[2].get(f"/collections/{name}/points/x", headers={SEEN: later.headers[TOKEN]}).json()
    assert point["vector"] == [3, 4]
    other = put(replicas[1], name, ("x", [5, 6]), Idempotency_Key="once")
    assert other.status_code == 422 and other.json()["param"] == "Idempotency-Key"
    gone = replicas[0].post(f"/collections/{name}/points/delete", {"filter": {"a": {"$exists": False}}}, headers={"Idempotency-Key": "del"})
    assert put(replicas[1], name, ("y", [5, 6]), X_Nearfar_Min_Version=gone.headers[TOKEN]).json()["version"] == 4
    repeated = replicas[1].post(f"/collections/{name}/points/delete", {"filter": {"a": {"$exists": False}}}, headers={"Idempotency-Key": "del"})
    assert repeated.json() == gone.json() == {"version": 3, "deleted": 1}
    assert replicas[0].get(f"/collections/{name}?consistency=strong").json()["count"] == 1


def test_a_follower_reads_and_does_not_write(replicas, made):
    name, _ = made
    assert put(replicas[2], name, ("x", [1, 2])).status_code == 503
    assert replicas[2].put("/collections/other", {"dim": 2}).status_code == 503
    assert replicas[2].get("/info").json()["read_only"] is True


def test_queues_are_one_queue(replicas):
    made = replicas[0].put("/queues/shared", {"capacity": 10, "dim": 3})
    assert made.status_code == 201
    assert made.json() == {"name": "shared", "capacity": 10, "dim": 3, "count": 0, "appended": 0, "durable": True, "version": 0}
    token = made.headers[TOKEN]
    random = np.random.default_rng(3)
    kept = np.zeros((0, 3), np.float32)
    for step in range(12):
        keys = random.normal(size=(3, 3)).astype(np.float32)
        body = {"objective": "moco", "queries": keys.tolist(), "keys": keys.tolist(), "queue": "shared"}
        headers = {SEEN: token, "Idempotency-Key": f"batch {step}"}
        headers["Idempotency-Key"] = f"batch-{step}"
        answer = replicas[step % 2].post("/loss", body, headers=headers)
        again = replicas[(step + 1) % 2].post("/loss", body, headers=headers)
        assert answer.status_code == 200 and again.content == answer.content
        assert answer.json()["candidates"] == 1 + len(kept)
        token = answer.headers[TOKEN]
        assert token == f"queues/shared:{token.split(':')[1]}:{step + 1}"
        kept = np.concatenate([kept, keys])[-10:]
    for replica in replicas:
        described = replica.get("/queues/shared", headers={SEEN: token}).json()
        assert (described["count"], described["appended"], described["version"]) == (10, 36, 12)
    body = {"objective": "moco", "queries": kept[:2].tolist(), "keys": kept[:2].tolist(), "queue": {"name": "shared", "update": False}}
    answers = [replica.post("/loss", body, headers={SEEN: token}).content for replica in replicas]
    assert answers == [answers[0]] * 3
    given = {key: value for key, value in body.items() if key != "queue"} | {"objective": "infonce", "in_batch_negatives": False}
    expected = replicas[0].post("/loss", given | {"negatives": kept.tolist()}).json()["loss"]
    assert replicas[1].post("/loss", body).json()["loss"] == pytest.approx(expected, rel=1e-6)
    gone = replicas[1].delete("/queues/shared")
    assert gone.status_code == 204
    for replica in replicas:
        assert replica.get("/queues/shared", headers={SEEN: gone.headers[TOKEN]}).status_code == 404


def test_the_standing_collection_is_deleted_and_is_there_again(replicas):
    """The answer tells of the new one, so that whoever carries its token may go on."""
    gone = replicas[0].delete("/collections/default")
    assert gone.status_code == 204 and gone.headers[TOKEN].endswith(":0")
    for replica in replicas:
        found = replica.get("/collections/default", headers={SEEN: gone.headers[TOKEN]})
        assert found.status_code == 200 and found.headers[TOKEN] == gone.headers[TOKEN]


def test_a_queue_of_one_process(replicas):
    made = replicas[0].put("/queues/own", {"capacity": 10, "dim": 3, "durable": False})
    assert made.status_code == 201 and "durable" not in made.json() and TOKEN not in made.headers
    assert replicas[1].get("/queues/own").status_code == 404
    assert replicas[0].put("/queues/own", {"capacity": 10, "dim": 3, "durable": True}).status_code == 409
    assert replicas[0].delete("/queues/own").status_code == 204


def test_without_a_database_nothing_is_durable(server):
    answer = server.put("/queues/lasting", {"capacity": 10, "dim": 3, "durable": True})
    assert answer.status_code == 422 and answer.json()["param"] == "durable"
    assert server.get("/collections/default/digest").status_code == 409


def test_the_database_goes_away_and_comes_back(replicas, made, database, once):
    name, _ = made
    token = put(replicas[0], name, ("x", [1, 2])).headers[TOKEN]
    assert replicas[1].get(f"/collections/{name}", headers={SEEN: token}).status_code == 200
    database.stop()
    try:
        for replica in replicas[:2]:
            began = time.monotonic()
            refused = put(replica, name, ("y", [1, 2]))
            assert refused.status_code == 503 and "database" in refused.json()["detail"]
            assert "Retry-After" in refused.headers
            assert time.monotonic() - began < 2
        time.sleep(1)
        answer = replicas[1].get(f"/collections/{name}")
        assert answer.status_code == 200 and answer.json()["count"] == 1
        assert 0.5 < answer.json()["stale_seconds"] < 60
        found = replicas[1].post("/neighbors", {"collection": name, "vectors": [[1, 2]]}).json()
        assert found["results"][0][0]["id"] == "x" and found["stale_seconds"] > 0.5
        assert replicas[1].get(f"/collections/{name}?consistency=strong").status_code == 503
        # Of what is not known here, only a token says that it has been made.
        assert replicas[1].get("/collections/unknown", headers={SEEN: "unknown:1000:1"}).status_code == 503
        assert replicas[1].get("/collections/unknown").status_code == 404
        assert float(metric(replicas[1], "nearfar_store_stale_seconds")) > 0.5
        assert replicas[1].get("/readyz").status_code == 200
    finally:
        database.start()
    deadline = time.monotonic() + 30
    while (answer := put(replicas[0], name, ("z", [1, 2]))).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    while "stale_seconds" in replicas[0].get(f"/collections/{name}").json():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    while (after := replicas[2].get(f"/collections/{name}/points/z", headers={SEEN: answer.headers[TOKEN]})).status_code != 200:
        assert time.monotonic() < deadline, after.text

def metric(server, name):
    return next(line.split()[-1] for line in server.get("/metrics").text.splitlines() if line.startswith(f"{name} "))


def test_a_start_from_a_saved_graph(database, replicas, tmp_path):
    """The graph that a replica has saved in its folder is the one that it starts with; another process may not use the folder."""
    flags = ["--store", database.url, "--snapshot-dir", str(tmp_path / "graphs")]
    random = np.random.default_rng(1)
    points = [(f"p{number}", vector) for number, vector in enumerate(random.normal(size=(12_000, 16)).round(3).tolist())]
    assert replicas[0].put("/collections/graph", {"dim": 16}).status_code == 201
    for first in range(0, len(points), 4000):
        token = put(replicas[0], "graph", *points[first : first + 4000]).headers[TOKEN]
    with Server(*flags) as one:
        assert "building the graph of 12000 points" in one.errors()
        with pytest.raises(AssertionError, match="in use"):
            Server(*flags)
    assert (tmp_path / "graphs").is_dir()
    token = put(replicas[0], "graph", ("late", points[0][1]), X_Nearfar_Min_Version=token).headers[TOKEN]
    with Server(*flags) as again:
        assert "read the graph of 12000 points" in again.errors() and "added 1" in again.errors()
        answer = again.post("/neighbors", {"collection": "graph", "vectors": [points[0][1]], "k": 2}, headers={SEEN: token}).json()
        assert answer["mode"] == "graph" and answer["replica_identical"] is False
        assert sorted(each["id"] for each in answer["results"][0]) == ["late", "p0"]
    replicas[0].delete("/collections/graph")


def test_a_database_that_is_not_there_stops_the_start(database):
    with pytest.raises(AssertionError, match="does not exist"):
        Server("--store", database.url.replace("/postgres", "/nothing"))
