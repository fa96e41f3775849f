"""Points and queries as safetensors."""

import json

import numpy as np
import pytest
from golden import BY_TEXT, assert_vectors
from problems import problem
from tensors import pack

TYPE = {"Content-Type": "application/x-safetensors"}
ROWS = np.random.default_rng(5).standard_normal((6, 4)).astype("<f4")
IDS = [f"p{number}" for number in range(6)]


def create(server, name, dim=4, metric="cosine"):
    assert server.put(f"/collections/{name}", {"dim": dim, "metric": metric}).status_code == 201


def lists(**values):
    return {key: json.dumps(value) for key, value in values.items()}


def send(server, name, body, **headers):
    return server.request("PUT", f"/collections/{name}/points", data=body, headers={**TYPE, **headers})


def vector_of(server, name, identity):
    return np.array(server.get(f"/collections/{name}/points/{identity}").json()["vector"], "<f4")


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16"])
def test_each_type_of_vectors(server, name, kind):
    create(server, name)
    array = ROWS.astype("<f2") if kind == "F16" else ROWS
    expected = array.astype("<f4")
    if kind == "BF16":
        expected = (ROWS.view("<u4") & 0xFFFF0000).view("<f4")
    body = pack({"vectors": array}, lists(ids=IDS), bf16=("vectors",) if kind == "BF16" else ())
    response = send(server, name, body)
    assert response.status_code == 200, response.text
    assert response.json() == {"version": 1, "upserted": 6}
    for identity, row in zip(IDS, expected, strict=True):
        assert np.array_equal(vector_of(server, name, identity), row)


def test_metadata_and_texts(server, name):
    create(server, name)
    metadata = [{"n": 1, "ü": [None, {"x": 2.5}]}, None, {}, None, None, {"z": "🙂"}]
    texts = ["kept", None, "", None, "also", None]
    body = pack({"vectors": ROWS}, {**lists(ids=IDS, metadata=metadata, texts=texts), "format": "pt"})
    assert send(server, name, body).status_code == 200
    points = server.get(f"/collections/{name}/points").json()["points"]
    assert [point["id"] for point in points] == IDS
    assert [point.get("metadata") for point in points] == metadata
    assert [point.get("text") for point in points] == texts


def test_texts_alone_are_embedded(server):
    body = pack({}, lists(ids=["st-cat"], texts=["The cat sits on the mat."]))
    assert send(server, "default", body).status_code == 200
    assert_vectors(vector_of(server, "default", "st-cat"), BY_TEXT["The cat sits on the mat."])
    assert server.ask("/collections/default/points/delete", {"ids": ["st-cat"]})["deleted"] == 1


BROKEN = ROWS.copy()
BROKEN[3, 1] = np.nan
ENDLESS = ROWS.copy()
ENDLESS[5, 0] = np.inf
EMPTY = ROWS.copy()
EMPTY[2] = 0


@pytest.mark.parametrize(
    "tensors, metadata, param",
    [
        ({"vectors": ROWS}, {}, "ids"),
        ({"vectors": ROWS}, lists(ids=IDS[:5]), "ids"),
        ({"vectors": ROWS}, lists(ids={"a": 1}), "ids"),
        ({"vectors": ROWS}, lists(ids=[*IDS[:5], 7]), "ids[5]"),
        ({"vectors": ROWS}, lists(ids=[*IDS[:5], ""]), "ids[5]"),
        ({"vectors": ROWS}, lists(ids=[*IDS[:5], "x" * 513]), "ids[5]"),
        ({"vectors": ROWS}, lists(ids=[*IDS[:5], "p2"]), "ids[5]"),
        ({"vectors": ROWS}, {"ids": "[1,"}, "ids"),
        ({"vectors": ROWS}, lists(ids=IDS, metadata=[{}] * 5), "metadata"),
        ({"vectors": ROWS}, lists(ids=IDS, metadata=[None, 5] + [{}] * 4), "metadata[1]"),
        ({"vectors": ROWS}, lists(ids=IDS, texts=["a", "b", 3] + [None] * 3), "texts[2]"),
        ({"vectors": ROWS}, lists(ids=IDS, payload=[]), "payload"),
        ({"vectors": ROWS, "more": ROWS}, lists(ids=IDS), "more"),
        ({"vectors": BROKEN}, lists(ids=IDS), "vectors[3]"),
        ({"vectors": ENDLESS}, lists(ids=IDS), "vectors[5]"),
        ({"vectors": EMPTY}, lists(ids=IDS), "vectors[2]"),
        ({"vectors": ROWS[:, :3]}, lists(ids=IDS), "vectors[0]"),
        ({"vectors": ROWS[0]}, lists(ids=IDS), "vectors"),
        ({"vectors": ROWS[:0]}, lists(ids=[]), "ids"),
        ({"vectors": np.zeros((6, 4), "<i4")}, lists(ids=IDS), "vectors"),
        ({}, lists(ids=IDS), "texts[0]"),
    ],
)
def test_invalid_points(server, name, tensors, metadata, param):
    create(server, name)
    problem(send(server, name, pack(tensors, metadata)), 422, param)
    assert server.get(f"/collections/{name}").json()["count"] == 0


def test_what_is_no_safetensors_is_400(server, name):
    create(server, name)
    body = pack({"vectors": ROWS}, lists(ids=IDS))
    for broken in [b"", b"short", body[:-1], body + b"x", b"\xff" * 64]:
        problem(send(server, name, broken), 400)


def test_texts_of_another_model_are_a_conflict(server, name):
    create(server, name)
    first = pack({"vectors": ROWS}, {**lists(ids=IDS), "collection": json.dumps({"model": "one"})})
    assert send(server, name, first).status_code == 200
    assert server.get(f"/collections/{name}").json()["model"] == "one"
    other = pack({"vectors": ROWS}, {**lists(ids=IDS), "collection": json.dumps({"model": "two"})})
    problem(send(server, name, other), 409)


def test_queries(server, name):
    create(server, name)
    assert send(server, name, pack({"vectors": ROWS}, lists(ids=IDS))).status_code == 200
    options = {"collection": name, "k": "3", "include": '["vector"]', "exact": "true", "format": "np"}
    asked = server.request("POST", "/neighbors", data=pack({"vectors": ROWS[:2]}, options), headers=TYPE)
    assert asked.status_code == 200, asked.text
    body = {"collection": name, "vectors": ROWS[:2].tolist(), "k": 3, "include": ["vector"], "exact": True}
    assert asked.json() == server.ask("/neighbors", body)
    assert [row[0]["id"] for row in asked.json()["results"]] == ["p0", "p1"]
    stored = server.request("POST", "/neighbors", data=pack({}, {"collection": name, "ids": '["p4"]'}), headers=TYPE)
    assert len(stored.json()["results"][0]) == 5


@pytest.mark.parametrize(
    "tensors, options, param",
    [
        ({"vectors": BROKEN}, {}, "vectors[3]"),
        ({"vectors": ROWS[:, :2]}, {}, "vectors[0]"),
        ({"vectors": ROWS}, {"ids": '["p1"]'}, "ids"),
        ({"vectors": ROWS}, {"k": "0"}, "k"),
        ({"vectors": ROWS}, {"top": "3"}, "top"),
        ({"queries": ROWS}, {}, "queries"),
        ({}, {}, "inputs"),
    ],
)
def test_invalid_queries(server, name, tensors, options, param):
    create(server, name)
    body = pack(tensors, {"collection": name, **options})
    problem(server.request("POST", "/neighbors", data=body, headers=TYPE), 422, param)
