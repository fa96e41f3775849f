"""The life of a collection and its points."""

import http.client
import json
from urllib.parse import quote

import golden
import numpy as np
import pytest
from golden import BY_TEXT, assert_vectors
from problems import problem
from process import Server


def create(server, name, dim=3):
    response = server.put(f"/collections/{name}", {"dim": dim, "metric": "cosine"})
    assert response.status_code == 201, response.text
    return response.json()


def point_of(server, name, identity):
    """The stored point, without the members that are null."""
    response = server.get(f"/collections/{name}/points/{identity}")
    assert response.status_code == 200, response.text
    return {key: value for key, value in response.json().items() if value is not None}


def upsert(server, name, points):
    response = server.put(f"/collections/{name}/points", {"points": points})
    assert response.status_code == 200, response.text
    return response.json()


def test_create_describe_list_and_delete(server, name):
    made = create(server, name, 7)
    assert (made["name"], made["dim"], made["metric"], made["count"]) == (name, 7, "cosine", 0)
    found = server.get(f"/collections/{name}")
    assert found.status_code == 200
    assert found.json() == made
    assert set(made) == {"name", "dim", "metric", "count", "recall_target", "version", "model", "engine"}
    listed = server.get("/collections").json()["collections"]
    assert made in listed
    assert [item["name"] for item in listed] == sorted(item["name"] for item in listed)
    assert server.delete(f"/collections/{name}").status_code == 204
    problem(server.get(f"/collections/{name}"), 404)
    problem(server.delete(f"/collections/{name}"), 404)
    assert name not in [item["name"] for item in server.get("/collections").json()["collections"]]


def test_creating_it_again(server, name):
    create(server, name, 5)
    upsert(server, name, [{"id": "a", "vector": [1, 2, 3, 4, 5]}])
    again = server.put(f"/collections/{name}", {"dim": 5, "metric": "cosine"})
    assert again.status_code == 200
    assert again.json()["count"] == 1
    problem(server.put(f"/collections/{name}", {"dim": 6, "metric": "cosine"}), 409)
    assert server.get(f"/collections/{name}").json()["dim"] == 5


def test_a_recall_target_of_its_own(server, name):
    path, shape = f"/collections/{name}", {"dim": 3, "metric": "cosine"}
    made = server.put(path, {**shape, "recall_target": 0.9})
    assert made.status_code == 201
    assert made.json()["recall_target"] == 0.9
    version = upsert(server, name, [{"id": "a", "vector": [1, 2, 3]}])["version"]
    # A target that is not given stays, and null resets it to the default.
    for given, expected in [({}, 0.9), ({"recall_target": 0.5}, 0.5), ({"recall_target": 1}, 1), ({}, 1)]:
        answer = server.put(path, {**shape, **given})
        assert (answer.status_code, answer.json()["recall_target"]) == (200, expected)
        assert server.get(path).json() == answer.json()
        assert answer.json() in server.get("/collections").json()["collections"]
    problem(server.put(path, {"dim": 4, "recall_target": 0.8}), 409)
    problem(server.put(path, {**shape, "recall_target": 0.4}), 422, "recall_target")
    assert server.get(path).json()["recall_target"] == 1
    for _ in range(2):
        answer = server.put(path, {**shape, "recall_target": None})
        assert (answer.status_code, answer.json()["recall_target"]) == (200, 0.97)
    assert answer.json() == {
        **shape, "name": name, "count": 1, "recall_target": 0.97, "version": version, "model": None, "engine": "memory",
    }  # fmt: skip
    # A new collection of the same name has nothing of the deleted one.
    assert server.put(path, {**shape, "recall_target": 0.7}).json()["recall_target"] == 0.7
    assert server.delete(path).status_code == 204
    assert create(server, name)["recall_target"] == 0.97


def test_a_recall_target_outlives_a_kill(tmp_path):
    shape = {"dim": 2, "metric": "dot"}
    killed = Server("--data", str(tmp_path))
    try:
        assert killed.put("/collections/a", {**shape, "recall_target": 0.8}).status_code == 201
        assert killed.put("/collections/b", shape).status_code == 201
        assert killed.put("/collections/b", {**shape, "recall_target": 0.99}).status_code == 200
        assert killed.put("/collections/default", {"dim": golden.DIM, "recall_target": 0.6}).status_code == 200
    finally:
        killed.process.kill()
        assert killed.stop() == -9
    with Server("--data", str(tmp_path)) as server:
        listed = server.get("/collections").json()["collections"]
        assert {item["name"]: item["recall_target"] for item in listed} == {"a": 0.8, "b": 0.99, "default": 0.6}


def test_the_default_collection_is_there(server):
    found = server.get("/collections/default").json()
    assert (found["dim"], found["metric"]) == (golden.DIM, "cosine")


def test_points_come_back_as_they_were_given(server, name):
    create(server, name)
    metadata = {"lang": "en", "year": 2001, "nested": {"a": [1, 2.5, None, True, "x"]}, "ünï": "cödé 🙂"}
    answer = upsert(
        server,
        name,
        [
            {"id": "a", "vector": [0.5, -1.25, 3], "metadata": metadata, "text": "kept only"},
            {"id": "b", "vector": [1, 0, 0]},
        ],
    )
    assert answer["upserted"] == 2
    assert answer["version"] == server.get(f"/collections/{name}").json()["version"]
    point = point_of(server, name, "a")
    assert point == {"id": "a", "vector": [0.5, -1.25, 3], "text": "kept only", "metadata": metadata}
    bare = point_of(server, name, "b")
    assert bare == {"id": "b", "vector": [1, 0, 0]}


def test_an_upsert_replaces_the_whole_point(server, name):
    create(server, name)
    first = upsert(server, name, [{"id": "a", "vector": [1, 0, 0], "metadata": {"old": True}}])
    second = upsert(server, name, [{"id": "a", "vector": [0, 1, 0]}, {"id": "b", "vector": [0, 0, 1]}])
    assert second["upserted"] == 2
    assert second["version"] > first["version"]
    assert server.get(f"/collections/{name}").json()["count"] == 2
    assert point_of(server, name, "a") == {"id": "a", "vector": [0, 1, 0]}


@pytest.mark.parametrize("identity", ["a b", "a/b", "ü🙂", "..", "%41", "a?b#c", "x" * 512, "ü" * 256, " "])
def test_any_id(server, name, identity):
    create(server, name)
    upsert(server, name, [{"id": identity, "vector": [1, 2, 3]}])
    # http.client is used because it does not normalise the path; other clients would resolve an id of dots.
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", f"/collections/{name}/points/" + quote(identity, safe="").replace(".", "%2E"))
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    assert response.status == 200
    assert body["id"] == identity


def test_points_are_listed_in_the_order_of_ids(server, name):
    create(server, name)
    ids = ["b", "a", "Z", "10", "9", "ä", "🙂", "aa"]
    upsert(server, name, [{"id": identity, "vector": [1, 2, 3]} for identity in ids])
    # The order is that of the UTF-8 bytes, which is also the order of the code points.
    order = sorted(ids)
    path = f"/collections/{name}/points"
    assert [point["id"] for point in server.get(path).json()["points"]] == order
    pages, after = [], None
    while True:
        page = server.get(path, params={"limit": 3, **({"after": after} if after is not None else {})}).json()["points"]
        if not page:
            break
        assert len(page) <= 3
        pages += [point["id"] for point in page]
        after = page[-1]["id"]
    assert pages == order
    between = server.get(path, params={"after": "aZ"}).json()["points"]
    assert [point["id"] for point in between] == [identity for identity in order if identity > "aZ"]


@pytest.mark.parametrize(
    "parameter, value", [("limit", "0"), ("limit", "-1"), ("limit", "x"), ("limit", "10001"), ("page", "2")]
)
def test_bad_listing_parameters(server, name, parameter, value):
    create(server, name)
    problem(server.get(f"/collections/{name}/points", params={parameter: value}), 422, parameter)


def test_deleting_points(server, name):
    create(server, name)
    version = upsert(server, name, [{"id": identity, "vector": [1, 2, 3]} for identity in "abc"])["version"]
    answer = server.ask(f"/collections/{name}/points/delete", {"ids": ["a", "c", "not there"]})
    assert answer["deleted"] == 2
    assert answer["version"] > version
    assert server.get(f"/collections/{name}").json()["count"] == 1
    problem(server.get(f"/collections/{name}/points/a"), 404)
    assert server.get(f"/collections/{name}/points/b").status_code == 200


def test_texts_are_embedded(server):
    server.ask("/collections/default/points/delete", {"ids": ["cat", "rates"]})
    texts = {"cat": "The cat sits on the mat.", "rates": "Interest rates rose by 0.25 percentage points in June."}
    answer = upsert(server, "default", [{"id": key, "text": text} for key, text in texts.items()])
    assert answer["upserted"] == 2
    point = server.get("/collections/default/points/cat").json()
    assert point["text"] == texts["cat"]
    assert_vectors(point["vector"], BY_TEXT[texts["cat"]])
    described = server.get("/collections/default").json()
    assert described["model"] == server.get("/info").json()["model"]["fingerprint"]
    server.ask("/collections/default/points/delete", {"ids": list(texts)})


def test_a_batch_is_applied_whole_or_not_at_all(server, name):
    create(server, name)
    upsert(server, name, [{"id": "a", "vector": [1, 0, 0]}])
    before = server.get(f"/collections/{name}").json()
    bad = [{"id": "b", "vector": [1, 2, 3]}, {"id": "a", "vector": [0, 1, 0]}, {"id": "c", "vector": [1, 2]}]
    problem(server.put(f"/collections/{name}/points", {"points": bad}), 422, "points[2]")
    assert server.get(f"/collections/{name}").json() == before
    assert server.get(f"/collections/{name}/points/a").json()["vector"] == [1, 0, 0]


POINT = {"id": "a", "vector": [1, 2, 3]}


@pytest.mark.parametrize(
    "points, param",
    [
        ([], "points"),
        ({}, "points"),
        ([5], "points[0]"),
        ([POINT, {"vector": [1, 2, 3]}], "points[1]"),
        ([{"id": "", "vector": [1, 2, 3]}], "points[0]"),
        ([{"id": "x" * 513, "vector": [1, 2, 3]}], "points[0]"),
        ([{"id": "ü" * 257, "vector": [1, 2, 3]}], "points[0]"),
        ([{"id": 7, "vector": [1, 2, 3]}], "points[0]"),
        ([POINT, POINT], "points[1]"),
        ([POINT, {"id": "b"}], "points[1]"),
        ([POINT, {"id": "b", "vector": [1, 2]}], "points[1]"),
        ([POINT, {"id": "b", "vector": []}], "points[1]"),
        ([POINT, {"id": "b", "vector": [1, "2", 3]}], "points[1]"),
        ([POINT, {"id": "b", "vector": [0, 0, 0]}], "points[1]"),
        ([POINT, {"id": "b", "vector": [1, 1e39, 0]}], "points[1]"),
        ([{**POINT, "metadata": []}], "points[0]"),
        ([{**POINT, "text": 1}], "points[0]"),
        ([{**POINT, "payload": {}}], "points[0]"),
        ([{"id": "t", "text": "into a dimension that is not the model's"}], "points[0]"),
    ],
)
def test_invalid_points(server, name, points, param):
    create(server, name)
    problem(server.put(f"/collections/{name}/points", {"points": points}), 422, param)
    assert server.get(f"/collections/{name}").json()["count"] == 0


def test_unknown_collections_and_points_are_404(server, name):
    problem(server.put(f"/collections/{name}/points", {"points": [POINT]}), 404)
    problem(server.get(f"/collections/{name}/points"), 404)
    problem(server.get(f"/collections/{name}/points/a"), 404)
    problem(server.post(f"/collections/{name}/points/delete", {"ids": ["a"]}), 404)
    create(server, name)
    problem(server.get(f"/collections/{name}/points/a"), 404)


@pytest.mark.parametrize(
    "body, param",
    [
        ({}, "dim"),
        ({"dim": 0}, "dim"),
        ({"dim": -3}, "dim"),
        ({"dim": 8193}, "dim"),
        ({"dim": 2.5}, "dim"),
        ({"dim": "3"}, "dim"),
        ({"dim": None}, "dim"),
        ({"dim": 3, "metric": "manhattan"}, "metric"),
        ({"dim": 3, "metric": 1}, "metric"),
        ({"dim": 3, "shards": 2}, "shards"),
        ({"dim": 3, "recall_target": 0.49}, "recall_target"),
        ({"dim": 3, "recall_target": 1.01}, "recall_target"),
        ({"dim": 3, "recall_target": "high"}, "recall_target"),
        ({"dim": 3, "recall_target": [0.9]}, "recall_target"),
        ({"dim": 3, "recall_target": True}, "recall_target"),
    ],
)
def test_invalid_collections(server, name, body, param):
    problem(server.put(f"/collections/{name}", body), 422, param)
    assert server.get(f"/collections/{name}").status_code == 404


@pytest.mark.parametrize("bad", ["two%20words", "x" * 129, "a%2Fb", "%C3%BC", "semi%3Bcolon"])
def test_bad_names(server, bad):
    problem(server.put(f"/collections/{bad}", {"dim": 3, "metric": "cosine"}), 422, "name")


@pytest.mark.parametrize(
    "body, param",
    [
        ({}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": "a"}, "ids"),
        ({"ids": [1]}, "ids"),
        ({"filter": 5}, "filter"),
        ({"ids": ["a"], "filter": {"a": 1}}, "filter"),
        ({"ids": ["a"], "all": True}, "all"),
    ],
)
def test_invalid_deletions(server, name, body, param):
    create(server, name)
    problem(server.post(f"/collections/{name}/points/delete", body), 422, param)


def test_a_vector_of_the_models_dimension_beside_texts(server):
    vector = np.eye(golden.DIM)[3].tolist()
    upsert(server, "default", [{"id": "v", "vector": vector}, {"id": "t", "text": "a"}])
    assert server.get("/collections/default/points/v").json()["vector"] == vector
    server.ask("/collections/default/points/delete", {"ids": ["v", "t"]})


def test_no_id_collides_with_an_operation(server, name):
    server.put(f"/collections/{name}", {"dim": 2})
    ids = ["delete", "list", "count", "export", "points"]
    points = [{"id": each, "vector": [1, index]} for index, each in enumerate(ids)]
    assert server.put(f"/collections/{name}/points", {"points": points}).status_code == 200
    for index, each in enumerate(ids):
        point = server.get(f"/collections/{name}/points/{each}").json()
        assert (point["id"], point["vector"]) == (each, [1, index])
    assert server.ask(f"/collections/{name}/points/delete", {"ids": ["delete"]})["deleted"] == 1
    problem(server.get(f"/collections/{name}/points/delete"), 404, "id")
    assert server.get(f"/collections/{name}").json()["count"] == len(ids) - 1


def test_default_is_always_there():
    with Server() as own:
        assert own.put("/collections/default/points", {"points": [{"id": "a", "text": "a"}]}).status_code == 200
        assert own.delete("/collections/default").status_code == 204
        described = own.get("/collections/default").json()
        assert (described["count"], described["dim"], described["metric"]) == (0, 384, "cosine")
        assert own.put("/collections/default/points", {"points": [{"id": "b", "text": "b"}]}).status_code == 200
        found = own.ask("/neighbors", {"inputs": "b", "k": 1})["results"][0]
        assert [each["id"] for each in found] == ["b"]
