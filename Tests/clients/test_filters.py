"""Compares filters with a direct evaluation of each point's metadata in Python."""

import numpy as np
import pytest
from problems import problem
from process import Server

COUNT, DIM = 600, 8
RANDOM = np.random.default_rng(31)
ROWS = RANDOM.standard_normal((COUNT, DIM)).astype("f4")
QUERY = RANDOM.standard_normal(DIM).astype("f4")
LANGUAGES = ["en", "de", "fr", "ja"]


def metadata_of(index):
    if index % 50 == 49:
        return None
    found = {"lang": LANGUAGES[index % 4], "year": 1990 + index % 40, "score": (index % 7) / 2}
    if index % 3 == 0:
        found["tags"] = ["a", "b"] if index % 2 else ["b", "c", 5]
    if index % 5 == 0:
        found["draft"] = index % 10 == 0
    if index % 11 == 0:
        found["note"] = None
    if index % 6 == 0:
        found["author"] = {"name": f"n{index % 4}", "age": index % 90}
    return found


METADATA = [metadata_of(index) for index in range(COUNT)]
IDS = [f"{index:03d}" for index in range(COUNT)]
SCORES = (ROWS.astype("f8") @ QUERY.astype("f8")) / np.linalg.norm(ROWS.astype("f8"), axis=1)
MISSING = object()


def value_of(metadata, field):
    for part in field.split("."):
        if not isinstance(metadata, dict) or part not in metadata:
            return MISSING
        metadata = metadata[part]
    return metadata


def kind(value):
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def holds(value, operator, operand):
    if operator == "$exists":
        return (value is not MISSING) == operand
    if operator in ("$ne", "$nin"):
        return not holds(value, {"$ne": "$eq", "$nin": "$in"}[operator], operand)
    if value is MISSING:
        return False
    values = value if isinstance(value, list) else [value]
    if operator in ("$eq", "$in"):
        wanted = operand if operator == "$in" else [operand]
        return any(kind(one) == kind(other) and one == other for one in values for other in wanted)
    same = [one for one in values if kind(one) == kind(operand) and kind(one) in ("number", "str")]
    return any(
        {"$gt": one > operand, "$gte": one >= operand, "$lt": one < operand, "$lte": one <= operand}[operator]
        for one in same
    )


def matches(metadata, condition):
    for key, value in condition.items():
        if key == "$and":
            fits = all(matches(metadata, part) for part in value)
        elif key == "$or":
            fits = any(matches(metadata, part) for part in value)
        elif key == "$not":
            fits = not matches(metadata, value)
        elif isinstance(value, dict):
            fits = all(holds(value_of(metadata, key), operator, operand) for operator, operand in value.items())
        else:
            fits = holds(value_of(metadata, key), "$eq", value)
        if not fits:
            return False
    return True


FILTERS = [
    {},
    {"lang": "en"},
    {"lang": "EN"},
    {"year": 2000},
    {"year": 2000.0},
    {"year": "2000"},
    {"draft": True},
    {"draft": False},
    {"note": None},
    {"tags": "b"},
    {"tags": 5},
    {"author.name": "n2"},
    {"lang": "en", "year": {"$gte": 2000}},
    {"year": {"$gt": 1995, "$lte": 1999}},
    {"year": {"$lt": 1991}},
    {"score": {"$gte": 2.5}},
    {"lang": {"$gt": "en"}},
    {"lang": {"$eq": "de"}},
    {"lang": {"$ne": "de"}},
    {"tags": {"$ne": "a"}},
    {"lang": {"$in": ["fr", "ja", 3]}},
    {"lang": {"$in": []}},
    {"lang": {"$nin": ["fr", "ja"]}},
    {"draft": {"$exists": True}},
    {"draft": {"$exists": False}},
    {"note": {"$exists": True}},
    {"author.age": {"$lt": 30}},
    {"$or": [{"lang": "fr"}, {"year": {"$lt": 1992}}]},
    {"$and": [{"lang": "fr"}, {"$not": {"year": {"$lt": 2010}}}]},
    {"$not": {"draft": True}},
    {"$not": {"$or": [{"lang": "en"}, {"tags": "c"}, {"year": {"$in": [1991, 1993]}}]}},
    {"nowhere": {"$exists": False}},
    {"nowhere": 1},
]


@pytest.fixture(scope="module")
def collection(server):
    name = "filter-test"
    server.delete(f"/collections/{name}")
    assert server.put(f"/collections/{name}", {"dim": DIM, "metric": "cosine"}).status_code == 201
    points = [
        {"id": identity, "vector": row.tolist(), **({} if metadata is None else {"metadata": metadata})}
        for identity, row, metadata in zip(IDS, ROWS, METADATA, strict=True)
    ]
    assert server.put(f"/collections/{name}/points", {"points": points}).status_code == 200
    yield name
    server.delete(f"/collections/{name}")


@pytest.mark.parametrize("condition", FILTERS, ids=str)
@pytest.mark.parametrize("exact", [True, False])
def test_neighbours_among_the_matching(server, collection, condition, exact):
    fitting = [index for index in range(COUNT) if matches(METADATA[index] or {}, condition)]
    body = {"collection": collection, "vectors": [QUERY.tolist()], "k": 10, "filter": condition, "exact": exact}
    answer = server.ask("/neighbors", body)
    best = sorted(fitting, key=lambda index: (-SCORES[index], IDS[index]))[:10]
    assert [item["id"] for item in answer["results"][0]] == [IDS[index] for index in best]
    if len(fitting) < 10:
        assert "filter" in answer["short_reasons"][0] and str(len(fitting)) in answer["short_reasons"][0]
    else:
        assert "short_reasons" not in answer


def test_a_stored_point_among_the_matching(server, collection):
    body = {"collection": collection, "ids": ["008"], "k": 600, "filter": {"lang": "en"}}
    answer = server.ask("/neighbors", body)
    found = {item["id"] for item in answer["results"][0]}
    assert found == {IDS[i] for i in range(COUNT) if METADATA[i] and METADATA[i]["lang"] == "en" and i != 8}


def test_delete(server, collection):
    for name, condition in [("filter-delete", {"year": {"$lt": 2000}, "lang": {"$ne": "en"}})]:
        server.delete(f"/collections/{name}")
        server.put(f"/collections/{name}", {"dim": DIM, "metric": "cosine"})
        points = [
            {"id": identity, "vector": row.tolist(), "metadata": metadata or {}}
            for identity, row, metadata in zip(IDS, ROWS, METADATA, strict=True)
        ]
        version = server.put(f"/collections/{name}/points", {"points": points}).json()["version"]
        gone = {IDS[i] for i in range(COUNT) if matches(METADATA[i] or {}, condition)}
        answer = server.ask(f"/collections/{name}/points/delete", {"filter": condition})
        assert answer == {"version": version + 1, "deleted": len(gone)}
        left = server.get(f"/collections/{name}/points", params={"limit": 1000}).json()["points"]
        assert {point["id"] for point in left} == set(IDS) - gone
        again = server.ask(f"/collections/{name}/points/delete", {"filter": condition})
        assert again["deleted"] == 0
        server.delete(f"/collections/{name}")


def test_a_replaced_point_is_found_by_its_new_metadata(server, name):
    server.put(f"/collections/{name}", {"dim": 2, "metric": "cosine"})
    path = f"/collections/{name}/points"
    body = {"collection": name, "vectors": [[1, 0]], "filter": {"v": 1}}
    server.put(path, {"points": [{"id": "a", "vector": [1, 0], "metadata": {"v": 1}}]})
    assert [item["id"] for item in server.ask("/neighbors", body)["results"][0]] == ["a"]
    server.put(path, {"points": [{"id": "a", "vector": [1, 0], "metadata": {"v": 2}}]})
    assert server.ask("/neighbors", body)["results"] == [[]]
    body["filter"] = {"v": 2}
    assert [item["id"] for item in server.ask("/neighbors", body)["results"][0]] == ["a"]


# Neighbouring doubles near 1.7e18 differ by 256, and those near 2^53 by 1 or 2.
NUMBERS = {
    "negative": -9007199254740993,
    "lowest": -(2**63),
    "half": 4503599627370495.5,
    "even": 9007199254740992.0,
    "odd": 9007199254740993,
    "t0": 1768907725507217522,
    "t1": 1768907725507217523,
    "t2": 1768907725507217524,
    "signed": 2**63 - 1,
    "beyond": 2**63,
    "longest": 2**64 - 1,
    "zero": -0.0,
}


@pytest.fixture
def numbers(server, name):
    server.put(f"/collections/{name}", {"dim": 2, "metric": "cosine"})
    points = [{"id": key, "vector": [1, 0], "metadata": {"t": value}} for key, value in NUMBERS.items()]
    assert server.put(f"/collections/{name}/points", {"points": points}).status_code == 200
    return name


def left(server, name):
    points = server.get(f"/collections/{name}/points", params={"limit": 1000}).json()["points"]
    return {point["id"]: point["metadata"]["t"] for point in points}


def test_returned_numbers_are_those_that_were_sent(server, numbers):
    returned = left(server, numbers)
    # Python compares integers and floats exactly. A float without a fraction may be returned as an integer of the same value.
    assert returned == NUMBERS
    assert all(type(returned[key]) is int for key, value in NUMBERS.items() if type(value) is int)


def test_numbers_stay_exact_after_a_restart(tmp_path):
    with Server("--data", str(tmp_path)) as service:
        service.put("/collections/c", {"dim": 2, "metric": "cosine"})
        points = [{"id": key, "vector": [1, 0], "metadata": {"t": value}} for key, value in NUMBERS.items()]
        assert service.put("/collections/c/points", {"points": points}).status_code == 200
    with Server("--data", str(tmp_path)) as service:
        assert left(service, "c") == NUMBERS
        body = {"collection": "c", "vectors": [[1, 0]], "k": 100, "filter": {"t": {"$gt": 1768907725507217522}}}
        found = {item["id"] for item in service.ask("/neighbors", body)["results"][0]}
        assert found == {"t1", "t2", "signed", "beyond", "longest"}


@pytest.mark.parametrize("operand", [*NUMBERS.values(), 0, 9007199254740992, 2**63 - 1.0, 0.5], ids=str)
def test_numbers_compare_exactly(server, numbers, operand):
    conditions = [operand, {"$in": [operand]}, {"$nin": [operand]}, {"$not": {"$lt": operand}}]
    conditions += [{operator: operand} for operator in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")]
    for condition in conditions:
        body = {"collection": numbers, "vectors": [[1, 0]], "k": 100, "filter": {"t": condition}}
        found = {item["id"] for item in server.ask("/neighbors", body)["results"][0]}
        if isinstance(condition, dict) and "$not" in condition:
            expected = {key for key, value in NUMBERS.items() if not value < operand}
        else:
            expected = {key for key, value in NUMBERS.items() if matches({"t": value}, {"t": condition})}
        assert found == expected, condition


def test_delete_by_an_exact_number(server, numbers):
    expected = dict(NUMBERS)
    for condition, gone in [
        (1768907725507217523, ["t1"]),
        ({"$gt": 1768907725507217522, "$lt": 2**63 - 1}, ["t2"]),
        ({"$lt": -9007199254740993}, ["lowest"]),
        (9007199254740992, ["even"]),
        ({"$gte": 2**63}, ["beyond", "longest"]),
        (9007199254740992.5, []),
    ]:
        answer = server.ask(f"/collections/{numbers}/points/delete", {"filter": {"t": condition}})
        assert answer["deleted"] == len(gone), condition
        for key in gone:
            del expected[key]
        assert left(server, numbers) == expected


@pytest.mark.parametrize(
    "condition, param",
    [
        ([], "filter"),
        ("lang", "filter"),
        ({"lang": ["en"]}, "filter.lang"),
        ({"year": {"$above": 3}}, "filter.year"),
        ({"year": {"$gt": True}}, "filter.year"),
        ({"year": {"$gt": None}}, "filter.year"),
        ({"lang": {"$in": "en"}}, "filter.lang"),
        ({"lang": {"$exists": 1}}, "filter.lang"),
        ({"$and": {"a": 1}}, "filter.$and"),
        ({"$or": [5]}, "filter.$or"),
        ({"$nor": []}, "filter.$nor"),
        ({"$not": 1}, "filter.$not"),
        ({"a": {"b": 1}}, "filter.a"),
    ],
    ids=str,
)
def test_what_is_no_filter(server, collection, condition, param):
    body = {"collection": collection, "vectors": [QUERY.tolist()], "filter": condition}
    problem(server.post("/neighbors", body), 422, param)
    problem(server.post(f"/collections/{collection}/points/delete", {"filter": condition}), 422, param)
    assert server.get(f"/collections/{collection}").json()["count"] == COUNT
