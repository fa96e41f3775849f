"""Both clients with a running service. Results are compared with float64."""

import threading

import httpx
import numpy as np
import pytest
from blocked import KINDS
from nearfar import NearfarError, Queue
from reference import assert_close, infonce, sigmoid, unit


@pytest.fixture(scope="module", params=KINDS)
def client(request, service):
    with KINDS[request.param](service.url) as connected:
        yield connected


def rows(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


def test_embed(client):
    texts = ["The cat sits on the mat.", "", "Déjà vu", "Interest rates rose."]
    found = client.embed(texts)
    assert found.shape == (4, 384) and found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.array_equal(found, client.embed(texts, batch_size=3))
    assert np.array_equal(found[2], client.embed("Déjà vu"))
    raw = client.embed(texts, normalize=False)
    assert np.abs(np.linalg.norm(raw, axis=1) - 1).min() > 1e-3 and np.allclose(unit(raw), found, atol=1e-5)
    assert np.allclose(client.embed(texts, dimensions=64), unit(found[:, :64]), atol=1e-5)
    assert np.allclose(client.similarity(texts[0], texts), found @ found[0], atol=1e-5)


def test_refusals_of_embed(client):
    with pytest.raises(NearfarError) as caught:
        client.embed(["short", "long " * 500], truncate=False)
    assert (caught.value.status, caught.value.param) == (422, "inputs[1]")
    assert caught.value.request_id
    with pytest.raises(NearfarError) as caught:
        client.embed([])
    assert (caught.value.status, caught.value.param) == (422, "inputs")


@pytest.mark.parametrize("temperature", [0.02, 0.07, 1.0])
@pytest.mark.parametrize("negatives", [None, (4, 8), (6, 3, 8)], ids=str)
def test_infonce(client, temperature, negatives):
    queries, keys = rows(6, 8), rows(6, 8, seed=2)
    negatives = None if negatives is None else rows(*negatives, seed=3)
    loss, per_row, gradients = infonce(queries, keys, temperature, negatives)
    result = client.loss(queries, keys, negatives, temperature=temperature, per_row=True, gradients=True, diagnostics=True)
    assert_close(result.loss, loss, temperature)
    assert_close(result.per_row, per_row, temperature)
    assert result.gradients.keys() == gradients.keys()
    for name, expected in gradients.items():
        assert_close(result.gradients[name], expected, temperature)
    extra = 0 if negatives is None else negatives.shape[-2]
    assert (result.objective, result.rows, result.candidates, result.dim) == ("infonce", 6, 6 + extra, 8)
    assert result.temperature == pytest.approx(temperature)
    best = (unit(queries.astype("f8")) @ unit(keys.astype("f8")).T).argmax(1) == np.arange(6)
    assert extra or result.diagnostics["accuracy_top1"] == pytest.approx(best.mean())


def test_the_loss_alone(client):
    result = client.loss([[1, 0], [0, 1]], [[1, 0], [0, 1]])
    assert_close(result.loss, np.log1p(np.exp(-1 / 0.07)))
    assert result.per_row is None and result.gradients == {} and result.diagnostics == {} and result.excluded == []


def test_a_million_values_each_way(client):
    queries, keys = rows(2048, 512), rows(2048, 512, seed=2)
    loss, _, gradients = infonce(queries, keys, 0.1)
    result = client.loss(queries, keys, temperature=0.1, gradients=True)
    assert_close(result.loss, loss, 0.1)
    assert_close(result.gradients["queries"], gradients["queries"], 0.1)
    assert_close(result.gradients["keys"], gradients["keys"], 0.1)


def test_positives_labels_and_the_other_objectives(client):
    queries, keys = rows(4, 5), rows(9, 5, seed=2)
    places = np.array([8, 0, 3, 3])
    logits = unit(queries.astype("f8")) @ unit(keys.astype("f8")).T / 0.2
    expected = np.log(np.exp(logits).sum(1)) - logits[np.arange(4), places]
    assert_close(client.loss(queries, keys, positives=places, temperature=0.2, per_row=True).per_row, expected, 0.2)

    loss, gradients = sigmoid(queries, keys[:4], 0.1, -2.0)
    result = client.loss(queries, keys[:4], objective="sigmoid", bias=-2.0, gradients=True)
    assert_close(result.loss, loss, 0.1)
    for name, values in gradients.items():
        assert_close(result.gradients[name], values, 0.1)

    result = client.loss(queries, objective="supcon", labels=[1, 1, 2, 1], per_row=True)
    assert result.excluded == [2] and result.per_row[2] == 0

    cosines = (unit(queries.astype("f8")) * unit(keys[:4].astype("f8"))).sum(1)
    result = client.loss(queries, keys[:4], objective="simsiam", gradients=True)
    assert_close(result.loss, -cosines.mean())
    assert result.temperature is None and result.gradients.keys() == {"queries"}


def test_without_normalisation_and_in_half_precision(client):
    queries, keys = rows(3, 4).astype("f2"), rows(3, 4, seed=2).astype("f2")
    logits = queries.astype("f8") @ keys.astype("f8").T / 0.5
    expected = (np.log(np.exp(logits).sum(1)) - logits.diagonal()).mean()
    assert_close(client.loss(queries, keys, temperature=0.5, normalize=False).loss, expected, 0.5)


def test_a_loss_of_texts_is_that_of_their_embeddings(client):
    queries, keys, negatives = (
        ["a cat", "fast cars"],
        ["a small feline", "racing automobiles"],
        [["rain", "tea"], ["sun", "ice"]],
    )
    vectors = client.embed(queries), client.embed(keys), np.stack([client.embed(texts) for texts in negatives])
    expected, _, gradients = infonce(*vectors[:2], 0.07, vectors[2])
    result = client.loss(queries, keys, negatives, gradients=True)
    assert_close(result.loss, expected, 0.07)
    assert_close(result.gradients["negatives"], gradients["negatives"], 0.07)
    assert_close(client.loss(queries, vectors[1], negatives).loss, expected, 0.07)


@pytest.mark.parametrize(
    "arguments, options, param",
    [
        (([[1, 2], [0, 0]], [[1, 2], [1, 3]]), {}, "queries[1]"),
        (([[1, np.nan]], [[1, 2]]), {}, "queries[0]"),
        (([[1, 2]], [[1, 2, 3]]), {}, "keys"),
        (([[1, 2]], [[1, 2]]), {"temperature": 0.0}, "temperature"),
        (([[1, 2]], [[1, 2]]), {"objective": "simsiam", "temperature": 0.5}, "temperature"),
        (([[1, 2]], [[1, 2]]), {"objective": "best"}, "objective"),
        (("text", ["text"]), {}, "queries"),
    ],
    ids=range(7),
)
def test_refusals_of_loss(client, arguments, options, param):
    with pytest.raises(NearfarError) as caught:
        client.loss(*arguments, **options)
    assert caught.value.status == 422
    assert caught.value.param == param or caught.value.param.startswith(param)


def test_queues(client):
    assert client.create_queue("client", 6, 8) == Queue("client", 6, 8, 0, 0)
    batch = rows(4, 8)
    assert client.loss(batch, batch, objective="moco", queue="client").loss == 0
    assert client.loss(batch, batch, objective="moco", queue={"name": "client", "update": False}).candidates == 5
    for _ in range(2):
        result = client.loss(batch, batch, objective="moco", queue="client", idempotency_key=f"batch-2-{type(client).__name__}", gradients=True)
        assert result.candidates == 5
    assert client.queue("client") == Queue("client", 6, 8, 6, 8)
    assert client.queue("client") in client.queues()
    client.delete_queue("client")
    with pytest.raises(NearfarError) as caught:
        client.queue("client")
    assert caught.value.status == 404


def test_collections(client):
    made = client.create_collection("client", 3)
    assert (made.name, made.dim, made.metric, made.count, made.model) == ("client", 3, "cosine", 0, None)
    assert client.create_collection("client", 3, "cosine") == made
    assert made.recall_target == 0.97
    targets = [0.9, None, 1, "default", None]
    found = [client.create_collection("client", 3, recall_target=target).recall_target for target in targets]
    assert found == [0.9, 0.9, 1, 0.97, 0.97]
    with pytest.raises(NearfarError) as caught:
        client.create_collection("client", 3, recall_target=0.4)
    assert (caught.value.status, caught.value.param) == (422, "recall_target")
    assert made in client.collections()
    with pytest.raises(NearfarError) as caught:
        client.create_collection("client", 4)
    assert caught.value.status == 409
    client.delete_collection("client")
    with pytest.raises(NearfarError) as caught:
        client.collection("client")
    assert caught.value.status == 404


def test_points_and_neighbors(client):
    client.create_collection("points", 3)
    ids = sorted(["..", ".", "a/b", "ü ?#%41", "plain"], key=str.encode)
    vectors = rows(5, 3)
    written = client.upsert(
        ids, vectors, texts=["t", None, None, None, None], metadata=[{"x": 1}, *[None] * 4], collection="points"
    )
    assert written.upserted == 5
    assert [point.id for point in client.points("points", page_size=2)] == ids
    assert [point.id for point in client.points("points", after=ids[1])] == ids[2:]
    for name, vector in zip(ids, vectors):
        assert np.array_equal(client.point(name, "points").vector, vector)
    assert (client.point(ids[0], "points").text, client.point(ids[0], "points").metadata) == ("t", {"x": 1})

    found = client.neighbors(vectors=vectors[:2], collection="points", k=5, include=["metadata", "text", "vector"])
    scores = unit(vectors[:2].astype("f8")) @ unit(vectors.astype("f8")).T
    for near, expected in zip(found.results, scores):
        order = np.argsort(-expected)
        assert [entry.id for entry in near] == [ids[place] for place in order]
        assert np.allclose([entry.score for entry in near], expected[order])
        assert all(np.array_equal(entry.vector, vectors[ids.index(entry.id)]) for entry in near)
    assert (found.collection, found.version, found.short_reasons) == ("points", written.version, None)
    first = found.results[0][0]
    assert (first.id, first.text, first.metadata) == (ids[0], "t", {"x": 1})
    short = client.neighbors(ids=[ids[0]], collection="points", k=9)
    assert len(short.results[0]) == 4 and ids[0] not in {entry.id for entry in short.results[0]}
    assert len(short.short_reasons) == 1 and short.short_reasons[0]
    assert client.neighbors(vectors=vectors[0], collection="points", k=1, score_threshold=2.0).results == [[]]

    assert client.delete_points([ids[0], "none"], collection="points").deleted == 1
    assert client.collection("points").count == 4
    with pytest.raises(NearfarError) as caught:
        client.point(ids[0], "points")
    assert caught.value.status == 404
    client.delete_collection("points")


def test_texts_are_embedded_and_found(client):
    texts = ["Cats purr when they are content.", "The engine needs a new gasket."]
    client.upsert(["cat", "car"], texts=texts)
    found = client.neighbors(["a happy kitten", "motor repair"], k=1, include=["text"])
    assert [[entry.text for entry in near] for near in found.results] == [[text] for text in texts]
    assert [entry.id for entry in client.neighbors("motor repair", k=2).results[0]] == ["car", "cat"]
    assert client.collection().model is not None
    client.delete_points(["cat", "car"])


def test_info_and_ready(client):
    assert client.info()["model"]["dim"] == 384
    assert client.ready() is True


def test_threads_share_a_client(client):
    expected, failures = client.embed("shared"), []

    def work():
        for _ in range(10):
            if not np.array_equal(client.embed("shared"), expected):
                failures.append("another row")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_connections_are_kept(service, connect):
    with httpx.Client(base_url=service.url) as observer:

        def accepted():
            lines = observer.get("/metrics").text.splitlines()
            return int(next(line for line in lines if line.startswith("nearfar_connections_accepted_total")).split()[1])

        before = accepted()
        connected = connect(service.url)
        for _ in range(5):
            connected.info()
        assert accepted() == before + 1


def test_an_export_and_writes_that_are_repeated(client):
    client.create_collection("exported", 3, "euclidean")
    vectors = rows(4, 3)
    metadata = [{"n": 1}, None, {"n": 3}, {"n": 4}]
    first = client.upsert(list("badc"), vectors, metadata=metadata, collection="exported", idempotency_key=f"put-1-{type(client).__name__}")
    assert client.delete_points(["a"], collection="exported", idempotency_key=f"del-1-{type(client).__name__}").deleted == 1
    again = client.upsert(list("badc"), vectors, metadata=metadata, collection="exported", idempotency_key=f"put-1-{type(client).__name__}")
    assert again == first
    found = client.export("exported")
    assert found.ids == list("bcd")
    assert np.array_equal(found.vectors, vectors[[0, 3, 2]]) and found.vectors.dtype == np.float32
    assert found.metadata == [{"n": 1}, {"n": 4}, {"n": 3}] and found.texts == [None] * 3
    assert found.collection == client.collection("exported") and found.collection.metric == "euclidean"
    assert client.export("exported", after="b", limit=1).ids == ["c"]
    parts = client.export_parts("exported", part_size=2)
    assert next(parts).ids == ["b", "c"]
    client.delete_points(["d"], collection="exported")
    assert [part.ids for part in parts] == [["d"]]
    client.upsert(["d"], vectors[[2]], metadata=[{"n": 3}], collection="exported")
    assert [part.ids for part in client.export_parts("exported")] == [["b", "c", "d"]]
    assert client.delete_points(filter={"n": {"$gt": 3}}, collection="exported").deleted == 1
    client.delete_collection("exported")
