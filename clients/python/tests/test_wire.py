"""The requests that calls send."""

import json

import httpx
import numpy as np
import pytest
import torch
from nearfar.safetensors import decode, encode
from scripted import INFO

LOSS = encode({"loss": np.array(0.5, "f4")}, {"objective": "infonce", "rows": "2", "candidates": "2", "dim": "2"})
BINARY = "application/x-safetensors"


@pytest.fixture
def sent(connect):
    """A client, and the requests that it has made so far."""
    requests = []

    def answer(request):
        if request.url.path == "/info":
            return httpx.Response(200, json=INFO)
        requests.append(request)
        if request.url.path == "/embed":
            count = len(json.loads(request.content)["inputs"])
            return httpx.Response(200, content=encode({"embeddings": np.full((count, 2), len(requests), "f4")}))
        if request.url.path == "/loss":
            return httpx.Response(200, content=LOSS)
        return httpx.Response(
            200, json={"version": 1, "upserted": 1, "deleted": 1, "collection": "c", "mode": "exact", "results": []}
        )

    return connect("http://service", transport=httpx.MockTransport(answer)), requests


def test_arrays_travel_as_safetensors(sent):
    client, requests = sent
    client.loss(
        np.eye(2), [[1, 2], [3, 4]], np.ones((2, 3, 2), "f2"), positives=[1, 0], temperature=0.5, in_batch_negatives=False,
        queue={"name": "q", "update": False}, gradients=True, per_row=True, idempotency_key="key-1",
    )  # fmt: skip
    request = requests[0]
    assert request.headers["Content-Type"] == BINARY and request.headers["Accept"] == BINARY
    assert request.headers["Idempotency-Key"] == "key-1"
    tensors, metadata = decode(request.content)
    assert {name: (array.dtype.str[1:], array.tolist()) for name, array in tensors.items()} == {
        "queries": ("f4", [[1, 0], [0, 1]]),
        "keys": ("f4", [[1, 2], [3, 4]]),
        "negatives": ("f2", np.ones((2, 3, 2)).tolist()),
        "positives": ("i8", [1, 0]),
    }
    assert {name: json.loads(value) for name, value in metadata.items()} == {
        "objective": "infonce", "temperature": 0.5, "in_batch_negatives": False, "queue": {"name": "q", "update": False},
        "return": ["loss", "per_row", "gradients"],
    }  # fmt: skip


def test_texts_travel_as_json_and_arrays_beside_them(sent):
    client, requests = sent
    client.loss(np.array(["a", "b"]), ("c", "d"), [["e", "ü"], ["f", "g"]], diagnostics=True)
    client.loss(["a"], np.ones((1, 2)), labels=np.array([3], "u1"), objective="supcon")
    assert [request.headers["Content-Type"] for request in requests] == ["application/json"] * 2
    assert all(request.headers["Accept"] == BINARY for request in requests)
    assert [json.loads(request.content) for request in requests] == [
        {
            "queries": ["a", "b"], "keys": ["c", "d"], "negatives": [["e", "ü"], ["f", "g"]], "objective": "infonce",
            "return": ["loss", "diagnostics"],
        },
        {"queries": ["a"], "keys": [[1, 1]], "labels": [3], "objective": "supcon", "return": ["loss"]},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments, options, error",
    [
        (([[1j]], [[1]]), {}, TypeError),
        (([[1.0], [1.0, 2.0]], [[1]]), {}, ValueError),
        (([[1.0]], [[1.0]]), {"labels": [1.5]}, TypeError),
        (([[1.0]], [[1.0]]), {"temperature": float("nan")}, ValueError),
        ((["a"], [[float("inf")]]), {}, ValueError),
    ],
    ids=range(5),
)
def test_what_cannot_be_sent(sent, arguments, options, error):
    client, requests = sent
    with pytest.raises(error):
        client.loss(*arguments, **options)
    assert requests == []


def test_embed_in_pieces(sent):
    client, requests = sent
    rows = client.embed(["a", "b", "c", "d", "e"], False, 2, truncate=False, prompt_name="query", batch_size=2)
    assert rows.tolist() == [[1, 1], [1, 1], [2, 2], [2, 2], [3, 3]]
    assert json.loads(requests[2].content) == {
        "inputs": ["e"], "normalize": False, "dimensions": 2, "truncate": False, "prompt_name": "query",
    }  # fmt: skip
    assert client.embed("a").tolist() == [4, 4]
    with pytest.raises(ValueError):
        client.embed(["a"], batch_size=0)


def test_points(sent):
    client, requests = sent
    client.upsert(["a", "b"], np.eye(2), texts=["t", None], metadata=[None, {"x": [1, "é\""]}], collection="c")
    client.upsert(["a", "b"], texts=["t", "u"], metadata=[None, {"x": [1]}], collection="c")
    client.delete_points(filter={"x": 1}, collection="c")
    client.delete_points(["a", "b"], collection="c")
    client.neighbors(vectors=[1, 2], k=3, exact=True, ef=64, filter={"x": {"$gte": 2}}, score_threshold=0.5, include=["text"])
    client.neighbors(["a", "b"], recall_target=0.9)
    points, delete = "/collections/c/points", "/collections/c/points/delete"
    assert [request.url.path for request in requests] == [points, points, delete, delete, "/neighbors", "/neighbors"]
    assert [request.headers["Content-Type"] == BINARY for request in requests] == [True, False, False, False, True, False]
    tensors, metadata = decode(requests[0].content)
    assert tensors.keys() == {"vectors"} and tensors["vectors"].dtype == np.float32 and tensors["vectors"].tolist() == [[1, 0], [0, 1]]
    assert {name: json.loads(value) for name, value in metadata.items()} == {
        "ids": ["a", "b"], "texts": ["t", None], "metadata": [None, {"x": [1, "é\""]}],
    }  # fmt: skip
    assert [json.loads(request.content) for request in requests[1:4]] == [
        {"points": [{"id": "a", "text": "t"}, {"id": "b", "text": "u", "metadata": {"x": [1]}}]},
        {"filter": {"x": 1}},
        {"ids": ["a", "b"]},
    ]
    tensors, metadata = decode(requests[4].content)
    assert tensors["vectors"].tolist() == [[1, 2]]
    assert {name: json.loads(value) for name, value in metadata.items()} == {
        "collection": "default", "k": 3, "exact": True, "ef": 64, "filter": {"x": {"$gte": 2}}, "score_threshold": 0.5,
        "include": ["text"],
    }  # fmt: skip
    assert json.loads(requests[5].content) == {
        "inputs": ["a", "b"], "collection": "default", "k": 10, "recall_target": 0.9, "include": ["metadata"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda client: client.upsert(["a", "b"], texts=["t"]), "2 ids, but 1 of text"),
        (lambda client: client.upsert(["a"], np.eye(2)), "1 ids, but 2 of vector"),
        (lambda client: client.upsert(["a"], [1.0]), r"vectors have the shape \(1,\), where \[n, dim\] is expected"),
        (lambda client: client.update_metadata(["a"], []), "1 ids, but 0 of metadata"),
        (lambda client: client.neighbors(), "exactly one of inputs, vectors and ids is needed, not none"),
        (lambda client: client.neighbors("a", ids=["b"]), "not inputs and ids"),
        (lambda client: client.neighbors(vectors=np.ones((1, 1, 1))), r"\(1, 1, 1\)"),
        (lambda client: client.upsert(["a", "b"], np.eye(2), batch_size=0), "batch_size is 0"),
    ],
    ids=range(8),
)
def test_arguments_that_do_not_fit_together(sent, call, text):
    client, requests = sent
    with pytest.raises(ValueError, match=text):
        call(client)
    assert requests == []


def test_scalars_of_numpy_travel_wherever_a_number_does(sent):
    client, requests = sent
    meta = {"f": np.float32(0.5), "i": np.int64(2**62), "b": np.bool_(True), "s": np.str_("t"), "a": np.array([1, 2]), np.int64(3): 4}
    plain = {"f": 0.5, "i": 2**62, "b": True, "s": "t", "a": [1, 2], "3": 4}
    client.upsert(np.array(["a"]), np.eye(1), metadata=[meta])
    client.upsert(["a"], texts=np.array(["t"]), metadata=[meta])
    client.delete_points(filter={"i": {"$in": [np.int64(1), (np.uint8(2),)]}})
    client.neighbors(vectors=np.eye(1), k=np.int64(3), exact=np.bool_(True), score_threshold=np.float32(0.5), filter={"i": np.int32(1)})
    client.neighbors("a", ef=np.int16(8), recall_target=np.float32(0.5))
    client.embed(np.array(["a", "b"]), np.bool_(False), np.int64(2), batch_size=np.int64(2))
    options = {"temperature": np.float32(0.5), "bias": np.float64(-2), "queue": {"name": "q", "update": np.bool_(False)}}
    client.loss(np.eye(2), np.eye(2), **options)
    client.loss(["a"], ["b"], **options, labels=[np.int64(1)])
    client.loss(["a"], ["b"], temperature=np.array([0.5], "f4"))
    expected = {"objective": "infonce", "temperature": 0.5, "bias": -2, "queue": {"name": "q", "update": False}, "return": ["loss"]}
    metadata = decode(requests[0].content)[1]
    assert json.loads(metadata["metadata"]) == [plain] and json.loads(metadata["ids"]) == ["a"]
    assert json.loads(requests[1].content) == {"points": [{"id": "a", "text": "t", "metadata": plain}]}
    assert json.loads(requests[2].content) == {"filter": {"i": {"$in": [1, [2]]}}}
    found = {name: json.loads(value) for name, value in decode(requests[3].content)[1].items()}
    assert found == {
        "collection": "default", "k": 3, "exact": True, "score_threshold": 0.5, "filter": {"i": 1}, "include": ["metadata"],
    }  # fmt: skip
    found = json.loads(requests[4].content)
    assert (found["ef"], found["recall_target"]) == (8, 0.5)
    assert json.loads(requests[5].content) == {"inputs": ["a", "b"], "normalize": False, "dimensions": 2, "truncate": True}
    assert {name: json.loads(value) for name, value in decode(requests[6].content)[1].items()} == expected
    assert json.loads(requests[7].content) == {"queries": ["a"], "keys": ["b"], "labels": [1], **expected}
    assert json.loads(requests[8].content)["temperature"] == 0.5
    assert "Idempotency-Key" not in requests[6].headers
    with pytest.raises(TypeError):
        client.upsert(["a"], texts=["t"], metadata=[{"x": object()}])
    with pytest.raises(ValueError):
        client.upsert(["a"], texts=["t"], metadata=[{"x": np.float32("nan")}])


def test_tensors_of_pytorch_travel_as_arrays(sent):
    client, requests = sent
    rows = torch.tensor(np.array([[1.0, 2.0]]), requires_grad=True)
    client.upsert(["a"], rows, metadata=[{"x": torch.tensor(np.array(3.0)), "y": torch.tensor(np.array([1, 2]))}])
    client.neighbors(vectors=torch.tensor(np.array([1.0, 2.0], "f2")))
    client.upsert(["a"], [torch.tensor(np.array([1.0, 2.0]))])
    client.loss(rows, rows, labels=torch.tensor(np.array([1])), temperature=torch.tensor(np.array([0.5])))
    found = [decode(request.content) for request in requests]
    assert [found[place][0]["vectors"].tolist() for place in range(3)] == [[[1, 2]]] * 3
    assert [found[place][0]["vectors"].dtype.str for place in range(3)] == ["<f4", "<f2", "<f4"]
    assert json.loads(found[0][1]["metadata"]) == [{"x": 3, "y": [1, 2]}]
    assert found[3][0]["queries"].dtype == np.float32 and found[3][0]["labels"].tolist() == [1]
    assert json.loads(found[3][1]["temperature"]) == 0.5


@pytest.mark.parametrize("name, path", [("a/b", "a%2Fb"), ("..", "%2E%2E"), (".", "%2E"), ("ü ?#%41", "%C3%BC%20%3F%23%2541")])
def test_a_name_is_one_segment(sent, name, path):
    client, requests = sent
    client.delete_queue(name)
    assert requests[0].url.raw_path == f"/queues/{path}".encode()
