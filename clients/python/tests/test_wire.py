"""What the calls send."""

import json

import httpx
import numpy as np
import pytest
from nearfar import Client
from nearfar.safetensors import decode, encode

LOSS = encode({"loss": np.array(0.5, "f4")}, {"objective": "infonce", "rows": "2", "candidates": "2", "dim": "2"})
BINARY = "application/x-safetensors"


@pytest.fixture
def sent():
    """A client, and the requests that it has made."""
    requests = []

    def answer(request):
        requests.append(request)
        if request.url.path == "/embed":
            count = len(json.loads(request.content)["inputs"])
            return httpx.Response(200, content=encode({"embeddings": np.full((count, 2), len(requests), "f4")}))
        if request.url.path == "/loss":
            return httpx.Response(200, content=LOSS)
        return httpx.Response(
            200, json={"version": 1, "upserted": 1, "deleted": 1, "collection": "c", "mode": "exact", "results": []}
        )

    return Client("http://service", transport=httpx.MockTransport(answer)), requests


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
    client.upsert(["a", "b"], np.eye(2), texts=["t", None], metadata=[None, {"x": [1]}], collection="c")
    client.delete_points(filter={"x": 1}, collection="c")
    client.neighbors(vectors=[1, 2], k=3, exact=True, ef=64, filter={"x": {"$gte": 2}}, score_threshold=0.5, include=["text"])
    assert [request.url.path for request in requests] == ["/collections/c/points", "/collections/c/points/delete", "/neighbors"]
    assert [json.loads(request.content) for request in requests] == [
        {"points": [{"id": "a", "vector": [1, 0], "text": "t"}, {"id": "b", "vector": [0, 1], "metadata": {"x": [1]}}]},
        {"filter": {"x": 1}},
        {
            "vectors": [[1, 2]], "collection": "default", "k": 3, "exact": True, "ef": 64, "filter": {"x": {"$gte": 2}},
            "score_threshold": 0.5, "include": ["text"],
        },
    ]  # fmt: skip
    with pytest.raises(ValueError, match="2 ids, but 1 of text"):
        client.upsert(["a", "b"], texts=["t"])


@pytest.mark.parametrize("name, path", [("a/b", "a%2Fb"), ("..", "%2E%2E"), (".", "%2E"), ("ü ?#%41", "%C3%BC%20%3F%23%2541")])
def test_a_name_is_one_segment(sent, name, path):
    client, requests = sent
    client.delete_queue(name)
    assert requests[0].url.raw_path == f"/queues/{path}".encode()
