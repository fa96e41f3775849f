"""What connections keep in their sessions of the database, and that no answer depends on it."""

import concurrent.futures
import random
import re
import time

import psycopg
import pytest
from frozen import freeze, thaw
from pgvector_server import Database
from process import Server, wait_until
from taps import Pool, Tap

COUNT = 1500
PREPARED = re.compile(r"execute nf_\w+: SELECT")
# Each with its values, in the order in which they were set.
SETTINGS = re.compile(r"(?i:parameters): (\$1 = '(?:hnsw|jit|search_path)[^\n]*)")


@pytest.fixture(scope="module")
def logged():
    """A database that logs the values of parameters, too."""
    made = Database()
    made.run("ALTER SYSTEM RESET log_parameter_max_length")
    made.run("SELECT pg_reload_conf()")
    yield made
    made.remove()


def vector(i: int) -> list[float]:
    """No two of them are nearly equal, so that rounding does not matter."""
    values = random.Random(i)
    return [values.gauss(0, 1) for _ in range(8)]


def fill(server, name: str) -> None:
    """More points than are searched without the index."""
    assert server.put(f"/collections/{name}", {"dim": 8, "engine": "pgvector"}).status_code == 201
    points = [{"id": str(i), "vector": vector(i), "metadata": {"half": i % 2}} for i in range(COUNT)]
    assert server.put(f"/collections/{name}/points", {"points": points}).status_code == 200


def search(server, name: str, number: int, **more):
    answer = server.post("/neighbors", {"collection": name, "vectors": [vector(number)], "k": 10, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def check(server, name: str, number: int, **more) -> None:
    """A walk with a large pool finds what an exact search does."""
    walk = search(server, name, number, ef=400, **more)
    assert walk["mode"] == "graph" and walk["results"] == search(server, name, number, exact=True, **more)["results"]


def settings(log: str) -> list[str]:
    return SETTINGS.findall(log)


def test_what_repeats_is_prepared_and_set_once(logged):
    with Server("--store", logged.url) as server:
        fill(server, "kept")
        check(server, "kept", 0)
        start = len(logged.log())
        for number in range(20):
            search(server, "kept", number, ef=120)
        log = logged.log()[start:]
        # The state and the search of each; the first may have come over a connection that had to prepare them.
        assert len(PREPARED.findall(log)) == 40 and "execute <unnamed>: SELECT id, vector" not in log
        assert settings(log) == ["$1 = 'hnsw.ef_search', $2 = '120'"]
        # What a search asks for is set where it differs, and a walk with a filter is followed by one without.
        start = len(logged.log())
        for more in ({"ef": 130}, {"ef": 130, "filter": {"half": 1}}, {"ef": 130}, {"ef": 130, "k": 200}, {"exact": True}):
            assert len(search(server, "kept", 3, **{"k": 10, **more})["results"][0]) >= 10
        assert settings(logged.log()[start:]) == [
            "$1 = 'hnsw.ef_search', $2 = '130'",
            "$1 = 'hnsw.iterative_scan', $2 = 'relaxed_order'",
            "$1 = 'hnsw.iterative_scan', $2 = NULL",
            "$1 = 'hnsw.ef_search', $2 = '254'",
        ]


def test_a_refusal_leaves_a_session_as_it_was(logged):
    with Server("--store", logged.url) as server:
        fill(server, "gone")
        for number in range(3):
            check(server, "gone", number)
        fill(server, "stays")
        check(server, "stays", 1)
        # Dropped behind the service's back, so that a transaction fails that has set something before.
        [(number,)] = logged.run("SELECT id FROM nearfar.collections WHERE name = 'gone'")
        logged.run(f"DROP TABLE nearfar.vectors_{number}")
        answer = server.post("/neighbors", {"collection": "gone", "vectors": [vector(1)], "ef": 77})
        assert answer.status_code == 404, answer.text
        start = len(logged.log())
        check(server, "stays", 2)
        log = logged.log()[start:]
        assert "DEALLOCATE ALL" in log
        start = len(logged.log())
        check(server, "stays", 3)
        assert "DEALLOCATE ALL" not in logged.log()[start:]
        server.delete("/collections/gone")


def test_a_plan_that_does_not_hold_any_more(logged):
    with Server("--store", logged.url) as server:
        fill(server, "changed")
        check(server, "changed", 1)
        [(number,)] = logged.run("SELECT id FROM nearfar.collections WHERE name = 'changed'")
        for kind in ("text USING convert_from(id, 'UTF8')", "bytea USING convert_to(id, 'UTF8')"):
            logged.run(f"ALTER TABLE nearfar.vectors_{number} ALTER COLUMN id TYPE {kind}")
            start = len(logged.log())
            assert len(search(server, "changed", 2, ef=400)["results"][0]) == 10
            assert "cached plan must not change result type" in logged.log()[start:]
        check(server, "changed", 3)


def test_a_collection_that_has_grown_is_planned_anew(logged):
    """A plan that was made for a small table may scan it."""
    with Server("--store", logged.url) as server:
        fill(server, "grown")

        def names() -> set[str]:
            start = len(logged.log())
            for number in range(12):
                check(server, "grown", number)
            return set(re.findall(r"execute (nf_\w+): SELECT id, vector", logged.log()[start:]))

        first = names()
        assert first and names() <= first
        points = [{"id": f"more {i}", "vector": vector(i + COUNT)} for i in range(1000)]
        assert server.put("/collections/grown/points", {"points": points}).status_code == 200
        second = names()
        assert second and not first & second


def test_an_index_that_is_made_after_an_import(logged):
    """As docs/scaling.md has it for large imports."""
    with Server("--store", logged.url) as server:
        fill(server, "bulk")
        check(server, "bulk", 1)
        [(number,)] = logged.run("SELECT id FROM nearfar.collections WHERE name = 'bulk'")
        logged.run(f"DROP INDEX nearfar.vectors_{number}_near_idx")
        points = [{"id": f"more {i}", "vector": vector(i + COUNT)} for i in range(500)]
        assert server.put("/collections/bulk/points", {"points": points}).status_code == 200
        check(server, "bulk", 2)
        logged.run(f"CREATE INDEX vectors_{number}_near_idx ON nearfar.vectors_{number} USING hnsw (near halfvec_ip_ops)")
        check(server, "bulk", COUNT + 3)


def test_a_session_that_somebody_else_has_changed(logged):
    tap = Tap(logged.folder)
    with Server("--store", tap.url) as server:
        fill(server, "tapped")
        check(server, "tapped", 1)
        for statement in ("DISCARD ALL", "DEALLOCATE ALL"):
            tap.run(statement)
            start = len(logged.log())
            for number in range(5):
                check(server, "tapped", number)
            assert tap.touched > 0
            log = logged.log()[start:]
            # Nothing is kept there from then on.
            assert ("does not exist" in log) == (statement == "DISCARD ALL")
            start = len(logged.log())
            check(server, "tapped", 7)
            assert not PREPARED.search(logged.log()[start:])


def test_a_pool_that_lends_sessions(logged):
    pool = Pool(logged.folder)
    try:
        with Server("--store", pool.url, "--store-listen", logged.url) as server:
            assert wait_until(lambda: server.put("/collections/pooled0", {"dim": 8, "engine": "pgvector"}).status_code < 300, 10)
            server.delete("/collections/pooled0")
            fill(server, "pooled")
            start = len(logged.log())

            def one(number: int) -> None:
                check(server, "pooled", number)
                check(server, "pooled", number, filter={"half": number % 2})

            with concurrent.futures.ThreadPoolExecutor(8) as threads:
                list(threads.map(one, range(40)))
            log = logged.log()[start:]
            assert not PREPARED.search(log) and "DEALLOCATE" not in log
            # Two sessions, which have nothing left in them.
            with psycopg.connect(pool.url, autocommit=True, prepare_threshold=None) as connection:
                for setting, value in (("hnsw.iterative_scan", "off"), ("hnsw.ef_search", "40"), ("jit", "on")):
                    # The extension's settings are known where it has been loaded.
                    connection.execute("SELECT '[1]'::vector")
                    assert connection.execute(f"SHOW {setting}").fetchall() == [(value,)]
                assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchall() == [(0,)]
    finally:
        pool.stop()


def test_connections_that_end_between_searches(logged):
    with Server("--store", logged.url) as server:
        fill(server, "ended")
        for number in range(10):
            check(server, "ended", number)
            logged.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nearfar vectors'")


def test_a_search_after_a_pause(logged):
    """After five seconds without a search nothing waits for answers any more, until there is a search again."""
    with Server("--store", logged.url) as server:
        fill(server, "rested")
        for _ in range(2):
            check(server, "rested", 1)
            time.sleep(6)
        check(server, "rested", 2)


def test_answers_that_come_in_many_parts(logged):
    """A hundred rows of 4,000 values are sent by the database in some two hundred parts; the database stands still meanwhile, too."""
    values = random.Random(8)
    rows = [[values.gauss(0, 1) for _ in range(4000)] for _ in range(60)]
    with Server("--store", logged.url) as server:
        assert server.put("/collections/wide", {"dim": 4000, "engine": "pgvector"}).status_code == 201
        for start in range(0, 1200, 60):
            points = [{"id": str(start + i), "vector": [value + start for value in row]} for i, row in enumerate(rows)]
            assert server.put("/collections/wide/points", {"points": points}).status_code == 200
        asked = {"collection": "wide", "vectors": [rows[0]], "k": 80, "ef": 400, "include": ["vector"]}
        wanted = server.ask("/neighbors", {**asked, "ef": None, "exact": True})["results"]

        def one(_: int) -> int:
            answer = server.post("/neighbors", asked)
            assert answer.status_code != 200 or answer.json()["results"] == wanted, answer.text[:500]
            return answer.status_code

        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            answers = [threads.submit(one, i) for i in range(24)]
            for _ in range(3):
                frozen = freeze(logged.folder)
                time.sleep(0.3)
                thaw(frozen)
                time.sleep(0.2)
            assert [answer.result() for answer in answers].count(200) >= 20


def test_many_searches_at_once(logged):
    """More than there are connections; writes, lists and drops among them."""
    with Server("--store", logged.url) as server:
        fill(server, "busy")
        wanted = [search(server, "busy", number, exact=True)["results"] for number in range(16)]

        def one(number: int) -> None:
            assert search(server, "busy", number % 16, ef=400)["results"] == wanted[number % 16]
            if number % 10 == 0:
                assert server.get("/collections/busy/points?limit=3").json()["points"][0]["id"] == "0"
                name = f"/collections/busy{number}"
                assert server.put(name, {"dim": 2, "engine": "pgvector"}).status_code == 201
                assert server.delete(name).status_code == 204

        with concurrent.futures.ThreadPoolExecutor(24) as threads:
            list(threads.map(one, range(300)))
