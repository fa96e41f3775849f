"""Calls with many rows are split into requests within the limits of the service."""

import json

import httpx
import numpy as np
import pytest
from blocked import KINDS
from nearfar import Deleted, InvalidError, NearfarError, TooLargeError, Updated, Upserted
from nearfar.batches import Limits
from nearfar.safetensors import MAX_HEADER, decode, encode
from scripted import INFO, limits
from service import Service

BODY = 65_536


@pytest.fixture(scope="module")
def narrow():
    """A service with low limits for one request."""
    running = Service("--max-body-bytes", str(BODY), "--max-inputs", "50")
    yield running
    running.stop()


@pytest.fixture(params=KINDS)
def client(request, narrow):
    with KINDS[request.param](narrow.url) as connected:
        yield connected
        for collection in connected.collections():
            if collection.name != "default":
                connected.delete_collection(collection.name)


def written(*counts):
    return [httpx.Response(200, json={"version": place + 1, "upserted": count}) for place, count in enumerate(counts)]


def test_twenty_thousand_vectors_are_one_request(connect, service):
    vectors = np.random.default_rng(1).standard_normal((20_000, 384)).astype("f4")
    client = connect(service.url)
    client.create_collection("large", 384)
    ids = [f"{row:05}" for row in range(20_000)]
    before = client.collection("large").version
    assert client.upsert(ids, vectors, collection="large") == Upserted(before + 1, 20_000)
    found = client.export("large")
    assert found.ids == ids and np.array_equal(found.vectors, vectors)
    client.delete_collection("large")


def test_arrays_and_texts_are_cut_to_the_limits(client):
    # 120 rows of 256 values have 123 kB and are split by the limit of bytes; 120 rows of 4 values are split by that of inputs.
    for dim, name in ((256, "bytes"), (4, "inputs")):
        client.create_collection(name, dim)
        vectors = np.random.default_rng(2).standard_normal((120, dim)).astype("f4")
        ids = [f"é\"{row:03}" for row in range(120)]
        metadata = [{"n": row, "quoted": '"' * (row % 5)} for row in range(120)]
        version = client.collection(name).version
        assert client.upsert(ids, vectors, metadata=metadata, collection=name) == Upserted(version + 3, 120)
        stored = client.export(name)
        assert stored.ids == ids and stored.metadata == metadata and np.array_equal(stored.vectors, vectors)
        found = client.neighbors(vectors=vectors, collection=name, k=1)
        assert [near[0].id for near in found.results] == ids and found.mode == "exact" and found.short_reasons is None
        assert [near[0].id for near in client.neighbors(ids=ids, collection=name, k=200).results] != []
        assert client.neighbors(ids=ids, collection=name, k=200).short_reasons[119]
        assert client.delete_points(ids[:110], collection=name) == Deleted(version + 6, 110)
    texts = [f"text {row}" for row in range(70)]
    rows = client.embed(texts)
    assert rows.shape == (70, 384) and np.allclose(client.embed(texts[60]), rows[60], atol=1e-6)
    assert np.allclose(client.similarity(texts[0], texts), rows @ rows[0], atol=1e-5)
    assert client.upsert(texts, texts=texts).upserted == 70
    assert client.delete_points(texts).deleted == 70


def test_long_texts_are_cut_by_their_bytes(client):
    texts = [f"{row} " + "long text " * 2000 for row in range(8)]
    assert client.embed(texts).shape == (8, 384)
    assert client.upsert(["a", "b", "c", "d"], texts=texts[:4]).upserted == 4
    assert client.neighbors(texts, k=1).results[3][0].id == "d"
    client.delete_points(["a", "b", "c", "d"])


def test_errors_count_rows_of_the_whole_call(client):
    texts = ["short"] * 60 + ["word " * 400]
    with pytest.raises(InvalidError) as caught:
        client.embed(texts, truncate=False)
    assert caught.value.param == "inputs[60]" and "inputs[10]" not in str(caught.value)
    client.create_collection("partly", 4)
    vectors = np.ones((120, 4), "f4")
    vectors[77] = 0
    with pytest.raises(InvalidError) as caught:
        client.upsert([str(row) for row in range(120)], vectors, collection="partly")
    assert caught.value.param == "vectors[77]"
    assert "the 50 points before this request are done" in str(caught.value)
    assert client.collection("partly").count == 50
    with pytest.raises(InvalidError) as caught:
        client.neighbors(vectors=np.ones((120, 4)), filter={"$and": [{"a": 1}, {"$no": 1}]}, collection="partly")
    assert "$and" in str(caught.value) or caught.value.param.startswith("filter")


def test_what_cannot_be_cut_is_refused_before_it_is_sent(client):
    client.create_collection("row", 8192)
    with pytest.raises(TooLargeError) as caught:
        client.upsert(["a", "b"], texts=["t", "x" * BODY])
    assert (caught.value.status, caught.value.param) == (413, "points[1]")
    assert f"and the service takes {BODY:,} (nearfar serve --max-body-bytes)" in str(caught.value)
    # No row was written, not even the one before the row that is too large.
    with pytest.raises(NearfarError):
        client.point("a")


@pytest.mark.parametrize("rows", [40, 400])
def test_a_loss_over_the_limit(client, rows):
    batch = np.random.default_rng(3).standard_normal((rows, 1024)).astype("f4")
    with pytest.raises(TooLargeError) as caught:
        client.loss(batch, batch)
    assert caught.value.status == 413 and str(BODY)[:2] in str(caught.value)
    if rows == 400:
        assert "the request has 3,27" in str(caught.value) and "float16 arrays take half of it" in str(caught.value)


def test_no_request_is_over_the_limit(scripted):
    rng = np.random.default_rng(4)
    for _ in range(30):
        count, dim = int(rng.integers(2, 200)), int(rng.integers(1, 40))
        most, inputs = int(rng.integers(2500, 9000)), int(rng.integers(1, 150))
        vectors = rng.standard_normal((count, dim)).astype(rng.choice(["f4", "f2"]))
        ids = [f"{row}" + "é\"\\\n😀"[: int(rng.integers(0, 6))] * int(rng.integers(0, 5)) for row in range(count)]
        metadata = [None if row % 3 else {"é\"": ["\\" * int(rng.integers(0, 50))]} for row in range(count)]
        info = limits(max_body_bytes=most, max_inputs=inputs)
        client, script = scripted(*written(*[1] * count), info=info)
        client.upsert(ids, vectors, metadata=metadata)
        found = [decode(request.content) for request in script.requests]
        assert [name for _, said in found for name in json.loads(said["ids"])] == ids
        assert [entry for _, said in found for entry in json.loads(said["metadata"])] == metadata
        assert np.array_equal(np.concatenate([tensors["vectors"] for tensors, _ in found]), vectors)
        sizes = [len(request.content) for request in script.requests]
        rows = [len(tensors["vectors"]) for tensors, _ in found]
        assert max(sizes) <= most and max(rows) <= inputs and script.asked == 1

        client, script = scripted(*written(*[1] * count), info=info)
        client.upsert(ids, texts=ids, metadata=metadata)
        points = [body["points"] for body in script.bodies()]
        assert [point["id"] for batch in points for point in batch] == ids
        sizes = [len(request.content) for request in script.requests]
        assert max(sizes) <= most and max(map(len, points)) <= inputs
        # There are as few requests as the limits allow: no two consecutive ones would fit into a single request.
        envelope = len(b'{"points":[]}')
        assert all(
            one + other - envelope + 1 > most or len(batch) + len(after) > inputs
            for one, other, batch, after in zip(sizes, sizes[1:], points, points[1:])
        ) or len(sizes) == 1


def test_the_header_of_safetensors_has_a_limit_of_its_own(scripted, monkeypatch):
    assert MAX_HEADER == 100_000_000
    monkeypatch.setattr("nearfar.batches.MAX_HEADER", 1000)
    client, script = scripted(*written(*[1] * 30), info=INFO)
    client.upsert([str(row) for row in range(30)], np.ones((30, 2)), metadata=[{"x": "y" * 90}] * 30)
    assert len(script.requests) > 3
    assert max(int.from_bytes(request.content[:8], "little") for request in script.requests) <= 1000
    with pytest.raises(TooLargeError, match=r"vectors\[1\] alone needs more than the .* header of safetensors"):
        client.upsert(["a", "b"], np.ones((2, 2)), metadata=[None, {"x": "y" * 1000}])


def test_batch_size_and_the_version_of_the_last_request(scripted):
    client, script = scripted(*written(2, 2, 1), info=INFO)
    found = client.upsert(list("abcde"), np.eye(5), batch_size=2, idempotency_key="once")
    assert found == Upserted(3, 5)
    assert [request.headers["Idempotency-Key"] for request in script.requests] == ["once-0", "once-1", "once-2"]
    client, script = scripted(*written(5), info=INFO)
    client.upsert(list("abcde"), np.eye(5), idempotency_key="once")
    assert [request.headers["Idempotency-Key"] for request in script.requests] == ["once"]


def test_the_limits_are_asked_for_once_and_not_for_one_row(scripted):
    client, script = scripted(*written(1, 1, 2, 2, 2), info=INFO)
    client.upsert(["a"], np.eye(1))
    client.upsert(["a"], texts=["t"])
    assert script.asked == 0
    for _ in range(3):
        client.upsert(["a", "b"], np.eye(2))
    assert script.asked == 1 and len(script.requests) == 5


@pytest.mark.parametrize(
    "info", [{}, {"limits": None}, {"limits": {"max_inputs": "many", "max_body_bytes": 0}}, {"max_client_batch_size": 2}], ids=range(4)
)
def test_a_service_that_does_not_state_limits(scripted, info):
    client, script = scripted(*written(3), info={"name": "nearfar", **info})
    assert client.upsert(["a", "b", "c"], np.eye(3)).upserted == 3
    assert Limits.read(info) == Limits(134_217_728, 100_000)


def test_a_service_that_hides_its_limits(scripted):
    forbidden = httpx.Response(403, json={"title": "Forbidden", "param": None})
    client, script = scripted(forbidden, *written(2))
    assert client.upsert(["a", "b"], np.eye(2)).upserted == 2


def test_a_call_without_rows_is_the_service_s_to_refuse(client):
    for call in (
        lambda: client.embed([]),
        lambda: client.upsert([], []),
        lambda: client.upsert([], texts=[]),
        lambda: client.upsert([], np.empty((0, 4))),
        lambda: client.delete_points([]),
        lambda: client.neighbors(ids=[]),
        lambda: client.neighbors(vectors=np.empty((0, 384))),
    ):
        with pytest.raises(InvalidError):
            call()


def test_neighbours_of_several_requests(scripted):
    def answer(version, mode, ids, **more):
        results = [[{"id": name, "score": 1.0}] for name in ids]
        return httpx.Response(200, json={"collection": "c", "version": version, "mode": mode, "results": results, **more})

    answers = [
        answer(4, "graph", ["a", "b"], ef=64, expected_recall=0.97),
        answer(3, "exact", ["c"], expected_recall=1, short_reasons=["few points"]),
    ]
    client, script = scripted(*answers, info=INFO)
    found = client.neighbors(vectors=np.eye(3), batch_size=2, collection="c")
    assert (found.version, found.mode, found.ef, found.expected_recall) == (3, "graph", 64, 0.97)
    assert [near[0].id for near in found.results] == ["a", "b", "c"]
    assert found.short_reasons == [None, None, "few points"]


def test_metadata_in_several_requests(scripted):
    answers = [
        httpx.Response(200, json={"version": 5, "updated": 1, "missing": ["b"]}),
        httpx.Response(200, json={"version": 6, "updated": 1, "missing": []}),
    ]
    client, script = scripted(*answers, info=INFO)
    assert client.update_metadata(list("abc"), [{"n": np.int64(1)}, {}, {"n": None}], batch_size=2) == Updated(6, 2, ["b"])
    assert [request.method for request in script.requests] == ["PATCH", "PATCH"]
    assert script.bodies() == [
        {"points": [{"id": "a", "metadata": {"n": 1}}, {"id": "b", "metadata": {}}], "mode": "merge"},
        {"points": [{"id": "c", "metadata": {"n": None}}], "mode": "merge"},
    ]


def test_an_error_in_a_later_request_is_placed_in_the_call(scripted):
    body = {"title": "Unprocessable Content", "detail": "points[1].text is too odd: points[1]", "param": "points[1].text"}
    client, script = scripted(*written(2), httpx.Response(422, json=body, headers={"X-Request-Id": "r"}), info=INFO)
    with pytest.raises(InvalidError) as caught:
        client.upsert(list("abcd"), texts=list("abcd"), batch_size=2)
    error = caught.value
    assert (error.param, error.request_id, error.status) == ("points[3].text", "r", 422)
    assert error.detail == "points[3].text is too odd: points[3]; the 2 points before this request are done"
    embeddings = httpx.Response(200, content=encode({"embeddings": np.ones((2, 2), "f4")}))
    body = {"title": "Unprocessable Content", "detail": "no", "param": "dimensions"}
    client, script = scripted(embeddings, httpx.Response(422, json=body), info=INFO)
    with pytest.raises(InvalidError) as caught:
        client.embed(list("abcd"), batch_size=2)
    assert (caught.value.param, caught.value.detail) == ("dimensions", "no")
