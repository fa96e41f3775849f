"""Points and exports are fetched page by page, and points are listed, counted and changed by filter."""

import json

import httpx
import numpy as np
import pytest
from nearfar import Counted, NotFoundError, Page, Updated
from scripted import INFO


def page(ids, **more):
    return httpx.Response(200, json={"points": [{"id": name, "vector": [1, 2]} for name in ids], **more})


def test_points_by_next_after(scripted):
    client, script = scripted(page("ab", next_after="b"), page("c", next_after="x"), page("", next_after="y"), page("z", next_after=None))
    assert [point.id for point in client.points("c", page_size=2)] == ["a", "b", "c", "z"]
    assert [request.url.query for request in script.requests] == [b"limit=2", b"limit=2&after=b", b"limit=2&after=x", b"limit=2&after=y"]
    assert {(request.method, request.url.path) for request in script.requests} == {("GET", "/collections/c/points")}


def test_points_of_a_service_without_next_after(scripted):
    client, script = scripted(page("ab"), page("c"), page(""))
    assert [point.id for point in client.points(after="A")] == ["a", "b", "c"]
    assert [request.url.params.get("after") for request in script.requests] == ["A", "b", "c"]


def test_points_are_fetched_as_they_are_taken(scripted):
    client, script = scripted(page("ab", next_after="b"), page("c", next_after=None))
    points = client.points()
    assert script.requests == []
    assert [next(points).id, next(points).id] == ["a", "b"] and len(script.requests) == 1
    assert next(points).id == "c" and next(points, None) is None and len(script.requests) == 2


def test_points_that_match_a_filter(scripted):
    full = {"id": "a", "vector": [1, 2], "text": "t", "metadata": {"n": 1}}
    client, script = scripted(
        httpx.Response(200, json={"points": [full], "next_after": "a"}),
        httpx.Response(200, json={"points": [{"id": "b"}], "next_after": None}),
        httpx.Response(200, json={"points": [{"id": "c", "metadata": {}}], "next_after": None}),
    )
    first, second = client.points("c", filter={"n": {"$gt": np.int64(0)}}, page_size=1)
    assert (first.id, first.vector.tolist(), first.text, first.metadata) == ("a", [1, 2], "t", {"n": 1})
    assert (second.id, second.vector, second.text, second.metadata) == ("b", None, None, None)
    assert [point.id for point in client.points("c", include=["metadata"], after="b")] == ["c"]
    assert {(request.method, request.url.path) for request in script.requests} == {("POST", "/collections/c/points/list")}
    every = ["metadata", "text", "vector"]
    assert script.bodies() == [
        {"filter": {"n": {"$gt": 0}}, "limit": 1, "include": every},
        {"filter": {"n": {"$gt": 0}}, "limit": 1, "include": every, "after": "a"},
        {"limit": 1000, "include": ["metadata"], "after": "b"},
    ]
    assert {request.headers["Content-Type"] for request in script.requests} == {"application/json"}


def test_one_page(scripted):
    client, script = scripted(page("ab", next_after="b"), page("", next_after=None), page("c", next_after=None))
    found = client.list_points("c", limit=2)
    assert [point.id for point in found.points] == ["a", "b"] and found.next_after == "b"
    assert client.list_points("c", after="b") == Page([], None)
    assert client.list_points("c", filter={"n": 1}, include=[], limit=5).points[0].id == "c"
    assert script.requests[2].url.path == "/collections/c/points/list"
    assert json.loads(script.requests[2].content) == {"filter": {"n": 1}, "limit": 5, "include": []}


def test_counting(scripted):
    client, script = scripted(*[httpx.Response(200, json={"version": 7, "count": 3})] * 2)
    assert client.count_points("c", filter={"n": {"$lt": 2}}) == Counted(7, 3)
    assert client.count_points().count == 3
    assert [request.url.path for request in script.requests] == ["/collections/c/points/count", "/collections/default/points/count"]
    assert script.bodies() == [{"filter": {"n": {"$lt": 2}}}, {}]


def test_metadata_alone(scripted):
    client, script = scripted(httpx.Response(200, json={"version": 2, "updated": 1, "missing": ["none"]}), info=INFO)
    found = client.update_metadata(["a", "none"], [{"n": 1, "old": None}, {}], mode="replace", collection="c", idempotency_key="k")
    assert found == Updated(2, 1, ["none"])
    (request,) = script.requests
    assert (request.method, request.url.path, request.headers["Idempotency-Key"]) == ("PATCH", "/collections/c/points", "k")
    assert script.bodies() == [
        {"points": [{"id": "a", "metadata": {"n": 1, "old": None}}, {"id": "none", "metadata": {}}], "mode": "replace"}
    ]


@pytest.fixture
def client(connect, service):
    client = connect(service.url)
    client.create_collection("paged", 3)
    yield client
    client.delete_collection("paged")


def test_a_collection_of_a_service_page_by_page(client):
    ids = [f"{row:04}" for row in range(1007)]
    vectors = np.random.default_rng(1).standard_normal((1007, 3)).astype("f4")
    client.upsert(ids, vectors, texts=[f"t{row}" for row in range(1007)], collection="paged")
    assert [point.id for point in client.points("paged")] == ids
    assert [point.id for point in client.points("paged", page_size=53, after=ids[5])] == ids[6:]
    assert client.list_points("paged", limit=7).next_after == ids[6]
    parts = list(client.export_parts("paged", part_size=500))
    assert [len(part) for part in parts] == [500, 500, 7]
    assert [name for part in parts for name in part.ids] == ids
    assert [len(part) for part in client.export_parts("paged", part_size=500, after=ids[999])] == [7]
    points = list(parts[2])
    assert points[0].id == ids[1000] and points[6].text == "t1006" and points[0].metadata is None
    assert np.array_equal(points[3].vector, vectors[1003])
    whole = client.export("paged", progress=True)
    assert whole.ids == ids and np.array_equal(whole.vectors, vectors)
    assert client.export("paged", after=ids[3], limit=2, progress=True).ids == ids[4:6]


def test_an_export_in_parts_is_one_version(client, monkeypatch):
    monkeypatch.setattr("nearfar.collections.EXPORT_PART", 2)
    client.upsert(list("abcde"), np.eye(5, 3) + 1, collection="paged")
    whole = client.export("paged", progress=True)
    assert whole.ids == list("abcde") and whole.vectors.shape == (5, 3) and whole.texts == [None] * 5
    parts = client.export_parts("paged", part_size=2)
    assert next(parts).ids == ["a", "b"]
    client.delete_points(["c", "d", "e"], collection="paged")
    assert [part.ids for part in parts] == [["c", "d"], ["e"]]
    assert client.export("paged").ids == ["a", "b"]


def test_points_of_a_service_by_filter(client):
    ids = [f"{row:02}" for row in range(20)]
    client.upsert(ids, np.eye(20, 3) + 1, texts=ids, metadata=[{"n": row} for row in range(20)], collection="paged")
    some = {"n": {"$gte": np.int64(15)}}
    assert client.count_points("paged", filter=some).count == 5 and client.count_points("paged").count == 20
    assert [point.id for point in client.points("paged", filter=some, page_size=2)] == ids[15:]
    (bare,) = client.list_points("paged", filter={"n": 3}, include=[]).points
    assert (bare.id, bare.vector, bare.text, bare.metadata) == ("03", None, None, None)
    (full,) = client.list_points("paged", filter={"n": 3}).points
    assert (full.text, full.metadata, full.vector.tolist()) == ("03", {"n": 3}, [1, 1, 1])
    version = client.collection("paged").version
    found = client.update_metadata(["03", "none"], [{"n": 99, "new": True}, {}], collection="paged")
    assert (found.version, found.updated, found.missing) == (version + 1, 1, ["none"])
    assert client.point("03", "paged").metadata == {"n": 99, "new": True}
    client.update_metadata(["03"], [{"new": None}], collection="paged")
    assert client.point("03", "paged").metadata == {"n": 99}
    client.update_metadata(["03", "04"], [None, {"m": 1}], mode="replace", collection="paged")
    assert client.point("03", "paged").metadata is None and client.point("04", "paged").metadata == {"m": 1}
    assert client.point("03", "paged").text == "03"


def test_the_end_of_an_iterator_that_fails(client):
    points = client.points("none")
    with pytest.raises(NotFoundError):
        next(points)
