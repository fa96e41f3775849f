"""Listing and counting points by a filter, and changing metadata alone."""

import pytest
from problems import problem

POINTS = [
    {"id": "a", "vector": [1, 0], "text": "eins", "metadata": {"lang": "de", "year": 1999}},
    {"id": "b", "vector": [0, 1], "metadata": {"lang": "en", "year": 2001}},
    {"id": "c", "vector": [1, 1], "metadata": {"lang": "de", "year": 2005}},
    {"id": "d", "vector": [2, 1]},
    {"id": "\u732b", "vector": [1, 3], "text": "\u732b\u304c\u5bdd\u308b", "metadata": {"lang": "ja", "year": 2010}},
]


@pytest.fixture
def path(server, name):
    server.put(f"/collections/{name}", {"dim": 2})
    assert server.put(f"/collections/{name}/points", {"points": POINTS}).json() == {"version": 1, "upserted": 5}
    return f"/collections/{name}/points"


def listed(server, path, **body):
    answer = server.ask(f"{path}/list", body)
    return [point["id"] for point in answer["points"]], answer["next_after"]


@pytest.mark.parametrize(
    "condition, ids",
    [
        (None, ["a", "b", "c", "d", "\u732b"]),
        ({}, ["a", "b", "c", "d", "\u732b"]),
        ({"lang": "de"}, ["a", "c"]),
        ({"lang": {"$ne": "de"}}, ["b", "d", "\u732b"]),
        ({"year": {"$gte": 2001}}, ["b", "c", "\u732b"]),
        ({"lang": "fr"}, []),
    ],
)
def test_list_and_count_by_a_filter(server, path, condition, ids):
    body = {} if condition is None else {"filter": condition}
    assert listed(server, path, **body) == (ids, None)
    assert server.ask(f"{path}/count", body) == {"version": 1, "count": len(ids)}


def test_what_is_listed(server, path):
    plain = server.ask(f"{path}/list", {"filter": {"lang": "ja"}})
    assert plain == {"version": 1, "points": [{"id": "\u732b", "metadata": {"lang": "ja", "year": 2010}}], "next_after": None}
    include = ["vector", "text", "metadata"]
    answer = server.ask(f"{path}/list", {"filter": {"lang": "ja"}, "include": include})
    assert answer["points"] == [POINTS[4]]
    assert server.ask(f"{path}/list", {"include": [], "limit": 1}) == {"version": 1, "points": [{"id": "a"}], "next_after": "a"}


def test_pages(server, path):
    german_or_english = {"lang": {"$in": ["de", "en"]}}
    assert listed(server, path, filter=german_or_english, limit=2) == (["a", "b"], "b")
    assert listed(server, path, filter=german_or_english, limit=2, after="b") == (["c"], None)
    assert listed(server, path, after="d") == (["\u732b"], None)
    assert listed(server, path, after="", limit=1) == (["a"], "a")
    for answer in [server.get(path, params={"after": "a" * 513}), server.post(f"{path}/list", {"after": "\u732b" * 171})]:
        problem(answer, 422, "after")


def test_pages_of_many(server, name):
    server.put(f"/collections/{name}", {"dim": 1})
    points = [{"id": f"p{n:05}", "vector": [n + 1], "metadata": {"n": n, "odd": n % 2}} for n in range(10_000)]
    server.put(f"/collections/{name}/points", {"points": points})
    path = f"/collections/{name}/points"
    for condition, expected in [
        ({"odd": 1}, [f"p{n:05}" for n in range(1, 10_000, 2)]),
        ({"n": {"$in": [7, 9_998]}}, ["p00007", "p09998"]),
    ]:
        found, after = [], None
        while True:
            ids, after = listed(server, path, filter=condition, limit=999, **({"after": after} if after else {}))
            found += ids
            if after is None:
                break
        assert found == expected
        assert server.ask(f"{path}/count", {"filter": condition})["count"] == len(expected)


def test_the_count_is_what_a_deletion_takes(server, path):
    condition = {"year": {"$lt": 2005}}
    count = server.ask(f"{path}/count", {"filter": condition})["count"]
    assert count == 2
    assert server.ask(f"{path}/delete", {"filter": condition}) == {"version": 2, "deleted": count}
    assert server.ask(f"{path}/count", {"filter": condition}) == {"version": 2, "count": 0}


def patched(server, path, points, **body):
    response = server.request("PATCH", path, json={"points": points, **body})
    assert response.status_code == 200, response.text
    return response.json()


def test_merge_sets_members_and_removes_nulls(server, path):
    changes = [
        {"id": "a", "metadata": {"year": None, "new": {"deep": [1, 9007199254740993]}}},
        {"id": "d", "metadata": {"lang": "fr", "gone": None}},
        {"id": "nobody", "metadata": {"x": 1}},
    ]
    assert patched(server, path, changes) == {"version": 2, "updated": 2, "missing": ["nobody"]}
    point = server.get(f"{path}/a").json()
    assert point == {
        "id": "a",
        "vector": [1, 0],
        "text": "eins",
        "metadata": {"lang": "de", "new": {"deep": [1, 9007199254740993]}},
    }
    assert server.get(f"{path}/d").json() == {"id": "d", "vector": [2, 1], "metadata": {"lang": "fr"}}
    # Filters match the changed metadata.
    assert listed(server, path, filter={"lang": "fr"})[0] == ["d"]
    assert listed(server, path, filter={"year": 1999})[0] == []
    name = path.split("/")[2]
    search = {"collection": name, "vectors": [[2, 1]], "k": 1, "filter": {"lang": "fr"}}
    assert server.ask("/neighbors", search)["results"][0][0]["id"] == "d"


def test_replace_leaves_nothing_of_what_was(server, path):
    changes = [{"id": "a", "metadata": {"only": True}}, {"id": "b", "metadata": None}]
    assert patched(server, path, changes, mode="replace") == {"version": 2, "updated": 2, "missing": []}
    assert server.get(f"{path}/a").json()["metadata"] == {"only": True}
    assert "metadata" not in server.get(f"{path}/b").json()
    assert listed(server, path, filter={"lang": {"$exists": True}})[0] == ["c", "\u732b"]


def test_nothing_to_change(server, path):
    answer = patched(server, path, [{"id": "x", "metadata": {}}, {"id": "y", "metadata": {}}])
    assert answer == {"version": 1, "updated": 0, "missing": ["x", "y"]}


def test_a_change_sees_the_one_before(server, path):
    key = {"Idempotency-Key": f"key-{path}"}
    body = {"points": [{"id": "a", "metadata": {"seen": 1}}]}
    first = server.request("PATCH", path, json=body, headers=key).json()
    assert server.request("PATCH", path, json=body, headers=key).json() == first == {
        "version": 2,
        "updated": 1,
        "missing": [],
    }
    patched(server, path, [{"id": "a", "metadata": {"more": 2}}])
    assert server.get(f"{path}/a").json()["metadata"] == {"lang": "de", "year": 1999, "seen": 1, "more": 2}


@pytest.mark.parametrize(
    "body, param",
    [
        ({}, "points"),
        ({"points": []}, "points"),
        ({"points": {}}, "points"),
        ({"points": [{"metadata": {}}]}, "points[0].id"),
        ({"points": [{"id": "", "metadata": {}}]}, "points[0].id"),
        ({"points": [{"id": "a"}]}, "points[0].metadata"),
        ({"points": [{"id": "a", "metadata": None}]}, "points[0].metadata"),
        ({"points": [{"id": "a", "metadata": [1]}]}, "points[0].metadata"),
        ({"points": [{"id": "a", "metadata": {}, "vector": [1, 2]}]}, "points[0].vector"),
        ({"points": [{"id": "a", "metadata": {}}, {"id": "a", "metadata": {}}]}, "points[1].id"),
        ({"points": [{"id": "a", "metadata": {}}], "mode": "append"}, "mode"),
        ({"points": [{"id": "a", "metadata": {}}], "upsert": True}, "upsert"),
    ],
)
def test_invalid_changes(server, path, body, param):
    problem(server.request("PATCH", path, json=body), 422, param)
    assert server.ask(f"{path}/count", {})["version"] == 1


@pytest.mark.parametrize(
    "operation, body, param",
    [
        ("list", {"filter": []}, "filter"),
        ("list", {"limit": 0}, "limit"),
        ("list", {"limit": 10_001}, "limit"),
        ("list", {"after": "a" * 513}, "after"),
        ("list", {"include": ["id"]}, "include"),
        ("list", {"include": ["text", "text"]}, "include"),
        ("list", {"page": 1}, "page"),
        ("count", {"filter": {"$what": 1}}, "filter"),
        ("count", {"limit": 1}, "limit"),
    ],
)
def test_invalid_lists_and_counts(server, path, operation, body, param):
    problem(server.post(f"{path}/{operation}", body), 422, param)


def test_unknown_collections_and_other_formats(server, path):
    for operation in ["list", "count"]:
        problem(server.post(f"/collections/no.such.one/points/{operation}", {}), 404, "collection")
    body = {"points": [{"id": "a", "metadata": {}}]}
    problem(server.request("PATCH", "/collections/no.such.one/points", json=body), 404, "collection")
    response = server.request("PATCH", path, data=b"", headers={"Content-Type": "application/x-safetensors"})
    problem(response, 415)
