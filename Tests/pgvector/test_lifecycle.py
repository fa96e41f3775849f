"""Making, dropping and finding collections in the database, several replicas, and a database that is away."""

import concurrent.futures
import random
import time

import psycopg
import pytest
from frozen import freeze, thaw
from pgvector_server import Database
from process import Server, wait_until


def make(server, name: str, **more):
    return server.put(f"/collections/{name}", {"dim": 3, "engine": "pgvector", **more})


def test_the_description_names_the_engine(server):
    made = make(server, "life", metric="dot", recall_target=0.9)
    assert made.status_code == 201
    assert made.json() == {
        "name": "life", "count": 0, "dim": 3, "metric": "dot", "recall_target": 0.9, "version": 0, "model": None,
        "engine": "pgvector", "storage": "halfvec",
    }  # fmt: skip
    again = server.put("/collections/life", {"dim": 3, "metric": "dot", "recall_target": None})
    assert again.status_code == 200 and again.json()["recall_target"] == 0.97
    assert server.get("/collections/life").json() == again.json()
    assert again.json() in server.get("/collections").json()["collections"]
    assert server.get("/info").json()["collections"]["life"] == 0
    for body in (
        {"dim": 4, "metric": "dot"}, {"dim": 3}, {"dim": 3, "metric": "dot", "engine": "memory"},
        {"dim": 3, "metric": "dot", "engine": "pgvector", "storage": "vector"},
    ):  # fmt: skip
        assert server.put("/collections/life", body).status_code == 409, body
    assert make(server, "default").status_code == 409
    assert server.delete("/collections/life").status_code == 204
    assert server.delete("/collections/life").status_code == 404


def test_what_cannot_be_kept_is_refused(server):
    for body, param in (
        ({"dim": 4001, "engine": "pgvector"}, "dim"),
        ({"dim": 2001, "engine": "pgvector", "storage": "vector"}, "dim"),
        ({"dim": 3, "engine": "other"}, "engine"),
        ({"dim": 3, "engine": "pgvector", "storage": "bit"}, "storage"),
        ({"dim": 3, "storage": "vector"}, "storage"),
    ):
        answer = server.put("/collections/refused", body)
        assert (answer.status_code, answer.json()["param"]) == (422, param), answer.text
    for storage, dimension in (("halfvec", 4000), ("vector", 2000)):
        assert make(server, "large", dim=dimension, storage=storage).status_code == 201
        vector = [float(i % 7) for i in range(dimension)]
        server.put("/collections/large/points", {"points": [{"id": "a", "vector": vector}]})
        found = server.ask("/neighbors", {"collection": "large", "vectors": [vector]})["results"][0]
        assert [(each["id"], each["score"]) for each in found] == [("a", 1)]
        assert server.delete("/collections/large").status_code == 204


def test_vectors_of_usual_size_are_in_their_rows(server, database):
    """Elsewhere each would be looked up by itself when a search reads it."""
    values = random.Random(5)
    for storage, dimension, is_within in (
        ("halfvec", 384, True), ("halfvec", 610, True), ("halfvec", 611, False), ("vector", 458, True), ("vector", 459, False),
    ):  # fmt: skip
        assert make(server, "wide", dim=dimension, storage=storage).status_code == 201
        rows = [{"id": str(i), "vector": [values.gauss(0, 1) for _ in range(dimension)], "metadata": {"n": i}} for i in range(20)]
        assert server.put("/collections/wide/points", {"points": rows}).status_code == 200
        [(outside,)] = database.run(
            "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE relname ="
            " 'vectors_' || (SELECT id FROM nearfar.collections WHERE name = 'wide')"
        )
        assert (outside == 0) == is_within, (storage, dimension, outside)
        assert server.delete("/collections/wide").status_code == 204


def test_a_database_without_the_extension(database):
    """A user who may not make the extension in a database that does not have it."""
    database.run("CREATE ROLE plain LOGIN")
    database.run("CREATE DATABASE bare OWNER plain")
    url = database.url.replace("nearfar@/postgres", "plain@/bare")
    with Server("--store", url) as server:
        answer = make(server, "a")
        assert answer.status_code == 422 and answer.json()["param"] == "engine"
        assert "vector" in answer.json()["detail"]
        assert server.get("/collections/a").status_code == 404
        # It is used where somebody else has made it, in whatever schema.
        bare = database.url.replace("/postgres", "/bare")
        database.run('CREATE SCHEMA "Odd schema"', url=bare)
        database.run('GRANT USAGE ON SCHEMA "Odd schema" TO plain', url=bare)
        database.run('CREATE EXTENSION vector SCHEMA "Odd schema"', url=bare)
        assert make(server, "a").status_code == 201
        server.put("/collections/a/points", {"points": [{"id": "a", "vector": [1, 2, 3]}]})
        assert server.ask("/neighbors", {"collection": "a", "vectors": [[1, 2, 3]]})["results"][0][0]["score"] == 1


def test_dropped_and_made_again(server, database):
    for dimension in (3, 5):
        assert make(server, "again", dim=dimension).status_code == 201
        point = {"id": "a", "vector": [1.0] * dimension}
        assert server.put("/collections/again/points", {"points": [point]}).json() == {"version": 1, "upserted": 1}
        assert server.get("/collections/again/points").json()["points"] == [point]
        assert server.delete("/collections/again").status_code == 204
    # And in memory under the same name.
    assert server.put("/collections/again", {"dim": 4}).json()["engine"] == "memory"
    assert make(server, "again", dim=4).status_code == 409
    server.delete("/collections/again")
    left = database.run(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'nearfar' AND tablename LIKE 'vectors%%'"
        " AND NOT tablename IN (SELECT 'vectors_' || id FROM nearfar.collections)"
    )
    assert left == []


def test_replicas_see_each_other_and_nothing_is_loaded(server, database):
    make(server, "shared")
    server.put("/collections/shared/points", {"points": [{"id": "a", "vector": [1, 2, 3]}]})
    with Server("--store", database.url) as other, Server("--store", database.url, "--follow") as follower:
        for replica in (other, follower):
            assert replica.get("/collections/shared/points/a").json() == {"id": "a", "vector": [1, 2, 3]}
            assert "collection 'shared'" not in replica.errors()
        # What one has written is there for the others at once.
        assert other.put("/collections/shared/points", {"points": [{"id": "b", "vector": [1, 2, 3]}]}).json()["version"] == 2
        for replica in (server, follower):
            assert replica.ask("/collections/shared/points/count", {}) == {"version": 2, "count": 2}
        refused = follower.put("/collections/shared/points", {"points": [{"id": "c", "vector": [1, 2, 3]}]})
        assert refused.status_code == 503
        assert follower.delete("/collections/shared").status_code == 503
        # What one has made is known to the others soon, and what was made anew under the name is another one.
        assert other.delete("/collections/shared").status_code == 204
        assert make(other, "shared", dim=2).status_code == 201
        for replica in (server, follower):
            assert wait_until(lambda: replica.get("/collections/shared").json().get("dim") == 2, 3)
        assert other.delete("/collections/shared").status_code == 204
        for replica in (server, follower):
            assert wait_until(lambda: replica.get("/collections/shared").status_code == 404, 3)


def test_writes_at_the_same_time_have_dense_versions(server):
    make(server, "busy")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:

        def write(i: int) -> int:
            body = {"points": [{"id": f"{i}", "vector": [1, 2, i]}, {"id": "same", "vector": [1, 2, i]}]}
            return server.put("/collections/busy/points", body).json()["version"]

        versions = list(pool.map(write, range(40)))
    assert sorted(versions) == list(range(1, 41))
    assert server.ask("/collections/busy/points/count", {}) == {"version": 40, "count": 41}
    server.delete("/collections/busy")


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_a_database_that_is_away(how):
    own = Database()
    frozen = []
    try:
        with Server("--store", own.url) as server:
            make(server, "away")
            server.put("/collections/memory", {"dim": 3})
            for name in ("away", "memory"):
                server.put(f"/collections/{name}/points", {"points": [{"id": "a", "vector": [1, 2, 3]}]})
            if how == "stopped":
                own.stop()
            else:
                frozen = freeze(own.folder)
            for _ in range(2):
                for method, path, body in (
                    ("POST", "/neighbors", {"collection": "away", "vectors": [[1, 2, 3]]}),
                    ("PUT", "/collections/away/points", {"points": [{"id": "b", "vector": [1, 2, 3]}]}),
                    ("GET", "/collections/away/points/a", None),
                    ("GET", "/collections/away", None),
                    ("POST", "/collections/away/points/count", {}),
                    ("GET", "/collections/away/export", None),
                    ("PUT", "/collections/other", {"dim": 3, "engine": "pgvector"}),
                ):
                    began = time.monotonic()
                    answer = server.request(method, path, json=body)
                    assert answer.status_code == 503 and "Retry-After" in answer.headers, (method, path, answer.text)
                    assert time.monotonic() - began < 2, (method, path)
                # What is in memory is served meanwhile, and fast.
                began = time.monotonic()
                assert server.ask("/neighbors", {"collection": "memory", "vectors": [[1, 2, 3]]})["version"] == 1
                assert time.monotonic() - began < 0.5
            if how == "stopped":
                own.start()
            else:
                thaw(frozen)
                frozen = []
            body = {"points": [{"id": "c", "vector": [1, 2, 3]}]}
            assert wait_until(lambda: server.put("/collections/away/points", body).status_code == 200, 15, 0.2)
            assert wait_until(lambda: server.get("/collections/away/points").status_code == 200, 5, 0.2)
            ids = [each["id"] for each in server.get("/collections/away/points").json()["points"]]
            # The write that was refused may have reached a frozen server, but never half of it.
            assert ids in (["a", "c"], ["a", "b", "c"])
    finally:
        thaw(frozen)
        own.remove()


def test_connections_that_are_cut_are_made_again(server, database):
    make(server, "cut")
    for round in range(5):
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nearfar vectors'"
            )
        answer = server.put("/collections/cut/points", {"points": [{"id": str(round), "vector": [1, 2, 3]}]})
        assert answer.status_code == 200, answer.text
        assert server.ask("/neighbors", {"collection": "cut", "vectors": [[1, 2, 3]]})["version"] == round + 1
    server.delete("/collections/cut")


def test_tokens_and_keys_hold_on_every_replica(server, database):
    make(server, "token")
    with Server("--store", database.url) as other:
        body = {"points": [{"id": "a", "vector": [1, 2, 3]}, {"id": "b", "vector": [3, 2, 1], "metadata": {"x": 1}}]}
        key = {"Idempotency-Key": "put-1"}
        first = server.put("/collections/token/points", body, headers=key)
        name, epoch, version = first.headers["X-Nearfar-Version"].split(":")
        assert (name, version, first.json()) == ("token", "1", {"version": 1, "upserted": 2})
        seen = {"X-Nearfar-Min-Version": first.headers["X-Nearfar-Version"]}
        for method, path, body_of in (
            ("GET", "/collections/token", None),
            ("GET", "/collections/token?consistency=strong", None),
            ("GET", "/collections/token/points?consistency=strong", None),
            ("GET", "/collections/token/points/a", None),
            ("GET", "/collections/token/export", None),
            ("POST", "/collections/token/points/list", {"consistency": "strong"}),
            ("POST", "/collections/token/points/count", {}),
            ("POST", "/neighbors", {"collection": "token", "vectors": [[1, 2, 3]], "consistency": "strong"}),
        ):
            answer = other.request(method, path, json=body_of, headers=seen)
            assert answer.status_code == 200, (path, answer.text)
            assert answer.headers["X-Nearfar-Version"] == f"token:{epoch}:1", path
        # Repeated on the other replica, after others have written, it does nothing and has the first outcome.
        other.request("PATCH", "/collections/token/points", json={"points": [{"id": "a", "metadata": {"y": 1}}]})
        again = other.put("/collections/token/points", body, headers=key)
        assert again.json() == first.json()
        assert other.get("/collections/token/points/a").json()["metadata"] == {"y": 1}
        deletion = {"filter": {"x": 1}}
        key = {"Idempotency-Key": "delete-1"}
        for replica in (server, other):
            answer = replica.post("/collections/token/points/delete", deletion, headers=key)
            assert answer.json() == {"version": 3, "deleted": 1}
        different = other.post("/collections/token/points/delete", {"ids": ["a"]}, headers={"Idempotency-Key": "put-1"})
        assert different.status_code == 422
        assert other.get("/collections/token").json()["version"] == 3
        assert other.get("/collections/token/digest").status_code == 409
        # Whoever has seen the collection that was dropped is told.
        server.delete("/collections/token")
        make(server, "token")
        assert wait_until(lambda: other.get("/collections/token", headers=seen).status_code == 410, 3)
        server.delete("/collections/token")
