"""Nothing that a client sends becomes part of a statement."""

import re

# In everything that a client can choose; found in the log if it is ever part of a statement.
MARK = "zqmarkzq"
ATTACKS = [
    f"'; DROP SCHEMA nearfar CASCADE; -- {MARK}",
    f'"; DROP SCHEMA nearfar CASCADE; -- {MARK}',
    f"\\'; SELECT pg_sleep(9); -- {MARK}",
    f"$1{MARK}",
    f"$$ {MARK} $$",
    f"{MARK}\u0000; DROP SCHEMA nearfar",
    f"{MARK}\u2019\u02bc\uff07 OR 1=1",
    f"/* {MARK}",
    f"*/ {MARK}",
    f"%s {MARK} %(name)s",
    f"{MARK}}} ,\"{{\\x00\"",
    f"E'\\x27 {MARK}",
]


def statements(log: str) -> list[str]:
    """The texts of the statements in a server's log; further lines of a statement begin with a tab."""
    whole = re.sub(r"\n\t", " ", log)
    return [line for line in whole.splitlines() if re.search(r"(execute|statement|parse|bind)[^:]*: ", line)]


def test_statements_hold_nothing_of_a_client(pair, database, server):
    kept = pair(3)
    # The check itself finds what it looks for.
    database.run(f"SELECT 'control{MARK[:3]}'")
    assert f"control{MARK[:3]}" in database.log()
    start = len(database.log())
    for attack in ATTACKS:
        # A name that begins with a dollar sign is an operator.
        field = f"f{attack}"
        point = {"id": attack, "vector": [1, 2, 3], "text": attack, "metadata": {field: attack, "a": {field: [attack]}}}
        kept.same("PUT", "/collections/NAME/points", {"points": [point]}, 200)
        path = "".join(f"%{byte:02X}" for byte in attack.encode())
        assert kept.same("GET", f"/collections/NAME/points/{path}", status=200) == point
        for filter in (
            {field: attack},
            {field: {"$gt": attack}},
            {field: {"$in": [attack, 1, None]}},
            {"$not": {f"a.{field}": {"$exists": True}}},
            {"$or": [{field: {"$lte": attack}}, {"a": {"$ne": attack}}]},
        ):
            kept.same("POST", "/collections/NAME/points/count", {"filter": filter}, 200)
            kept.same("POST", "/collections/NAME/points/list", {"filter": filter, "after": attack}, 200)
            body = {"collection": "NAME", "vectors": [[1, 2, 3]], "filter": filter}
            kept.same("POST", "/neighbors", {**body, "exact": True}, 200)
        kept.same("POST", "/neighbors", {"collection": "NAME", "ids": [attack]}, 200)
        kept.same("PATCH", "/collections/NAME/points", {"points": [{"id": attack, "metadata": {field: attack}}]}, 200)
        kept.same("GET", f"/collections/NAME/points?after={path}", status=200)
        kept.same("GET", f"/collections/NAME/export?after={path}&limit=0", status=422)
        assert server.get(f"/collections/{kept.database}/export?after={path}").status_code == 200
        for method, body in (("PUT", {"dim": 3, "engine": "pgvector"}), ("GET", None), ("DELETE", None)):
            assert server.request(method, f"/collections/{path}", json=body).status_code in (404, 422)
        for setting in ("engine", "storage", "metric"):
            body = {"dim": 3, "engine": "pgvector", setting: attack}
            assert server.put("/collections/other", body).status_code == 422
        kept.same("POST", "/collections/NAME/points/delete", {"ids": [attack]}, 200)
    assert kept.same("GET", "/collections/NAME/points", status=200)["points"] == []
    # A name that is allowed is not part of a statement either.
    named = f"{MARK}-name"
    assert server.put(f"/collections/{named}", {"dim": 3, "engine": "pgvector"}).status_code == 201
    server.put(f"/collections/{named}/points", {"points": [{"id": MARK, "vector": [1, 2, 3]}]})
    assert server.ask("/neighbors", {"collection": named, "vectors": [[1, 2, 3]]})["results"][0][0]["id"] == MARK
    assert server.delete(f"/collections/{named}").status_code == 204
    log = database.log()[start:]
    seen = statements(log)
    assert len(seen) > 500
    assert MARK not in log
    # What is put together is put together of constants and numbers: few kinds of statements are left without the numbers.
    kinds = {re.sub(r"\d+", "0", re.sub(r"^.*?(execute|statement|parse|bind)[^:]*: ", "", line)) for line in seen}
    assert len(kinds) < 120, sorted(kinds)


def test_the_tables_are_still_there(database):
    found = database.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'nearfar' AND tablename = 'collections'")
    assert found == [(1,)]
