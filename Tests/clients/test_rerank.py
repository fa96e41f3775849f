"""Rerankers: /rerank in three shapes, /predict, and `rerank` in /neighbors."""

import families
import numpy as np
import pytest
from problems import problem
from process import Server

RERANKERS = families.names("rerank")


def sigmoid(value):
    return 1 / (1 + np.exp(-np.float64(value)))


@pytest.fixture(scope="module")
def reranking(server):
    """The shared server has rerank-bert."""
    return server


@pytest.mark.parametrize("name", RERANKERS)
def test_scores_are_those_of_the_original_library(name):
    golden = families.golden(name)
    with Server("--reranker", families.path(name)) as own:
        pairs = [[pair["query"], pair["document"]] for pair in golden["pairs"]]
        raw = own.ask("/predict", {"inputs": pairs, "raw_scores": True})
        labels = own.get("/info").json()["reranker"]["labels"]
        for pair, scored in zip(golden["pairs"], raw, strict=True):
            values = {entry["label"]: entry["score"] for entry in scored}
            assert np.abs(np.array([values[label] for label in labels]) - np.array(pair["logits"])).max() <= 1e-4
            assert [entry["score"] for entry in scored] == sorted(values.values(), reverse=True)
        if len(labels) > 1:
            probabilities = own.ask("/predict", {"inputs": pairs})
            for pair, scored in zip(golden["pairs"], probabilities, strict=True):
                softmax = np.exp(pair["logits"]) / np.exp(pair["logits"]).sum()
                assert np.abs(np.sort(softmax)[::-1] - [entry["score"] for entry in scored]).max() <= 1e-4
            problem(own.post("/rerank", {"query": "a", "texts": ["b"]}), 422)
            return
        for pair in golden["pairs"]:
            ((first,),) = [own.ask("/rerank", {"query": pair["query"], "texts": [pair["document"]]})]
            assert abs(first["score"] - pair["scores"][0]) <= 1e-4


def scores(reranking, query, texts):
    rows = reranking.ask("/predict", {"inputs": [[query, text] for text in texts]})
    return [row[0]["score"] for row in rows]


QUERY = "When does the first train leave?"
TEXTS = ["It is closed.", "The first train to the coast leaves at six.", "", "It is closed.", "七時に出ます。"]


def test_the_best_come_first_and_equal_ones_in_order(reranking):
    expected = scores(reranking, QUERY, TEXTS)
    order = sorted(range(len(TEXTS)), key=lambda index: (-expected[index], index))
    answer = reranking.ask("/rerank", {"query": QUERY, "texts": TEXTS})
    assert answer == [{"index": index, "score": expected[index]} for index in order]
    raw = reranking.ask("/rerank", {"query": QUERY, "texts": TEXTS, "raw_scores": True, "return_text": True, "top_n": 2})
    assert [entry["index"] for entry in raw] == order[:2] and [entry["text"] for entry in raw] == [TEXTS[index] for index in order[:2]]
    assert np.allclose([sigmoid(entry["score"]) for entry in raw], [expected[index] for index in order[:2]], atol=1e-6)


def test_scores_have_the_same_bytes_alone_and_together(reranking):
    together = {entry["index"]: entry["score"] for entry in reranking.ask("/rerank", {"query": QUERY, "texts": TEXTS * 30})}
    for index, text in enumerate(TEXTS):
        (alone,) = reranking.ask("/rerank", {"query": QUERY, "texts": [text]})
        assert all(together[index + repeat * len(TEXTS)] == alone["score"] for repeat in range(30))


def test_jinas_and_coheres_shapes(reranking):
    own = reranking.ask("/rerank", {"query": QUERY, "texts": TEXTS, "top_n": 3})
    documents = [TEXTS[0], {"text": TEXTS[1]}, *TEXTS[2:]]
    body = {"model": "any", "query": QUERY, "documents": documents, "top_n": 3}
    jina = reranking.ask("/v1/rerank", body)
    assert jina["model"] == "any" and jina["usage"]["total_tokens"] > 50
    assert [(entry["index"], entry["relevance_score"]) for entry in jina["results"]] == [(entry["index"], entry["score"]) for entry in own]
    assert [entry["document"]["text"] for entry in jina["results"]] == [TEXTS[entry["index"]] for entry in own]
    assert "document" not in reranking.ask("/v1/rerank", {**body, "return_documents": False})["results"][0]
    cohere = reranking.ask("/v2/rerank", body)
    assert cohere["results"] == [{"index": entry["index"], "relevance_score": entry["score"]} for entry in own]
    assert cohere["id"] and cohere["meta"]["api_version"]["version"] == "2"


def test_predict_takes_one_text_a_pair_or_a_batch(reranking):
    single = reranking.ask("/predict", {"inputs": "a"})
    assert single[0]["label"] == "LABEL_0" and 0 < single[0]["score"] < 1
    assert reranking.ask("/predict", {"inputs": ["a"]}) == single
    pair = reranking.ask("/predict", {"inputs": ["a", "b"]})
    assert reranking.ask("/predict", {"inputs": [["a"], ["a", "b"]]}) == [single, pair]


def stages(answer):
    return [part.split(";")[0].strip() for part in answer.headers["Server-Timing"].split(",")]


def test_predict_is_timed_and_let_in_as_rerank_is():
    bodies = {"/rerank": {"query": "a", "texts": ["word " * 100] * 1000}, "/predict": {"inputs": [["a", "word " * 100]] * 1000}}
    with Server("--reranker", families.path("rerank-bert")) as own:
        for path, body in bodies.items():
            # 10,000 tokens a second are assumed before anything was measured, so this would take seconds: it is refused unread.
            answer = own.post(path, body, headers={"X-Request-Timeout-Ms": "2000"})
            assert "the service is busy" in problem(answer, 503)["detail"] and "tokenize" not in stages(answer)
        for path, body in bodies.items():
            answer = own.post(path, body)
            assert answer.status_code == 200 and stages(answer)[:3] == ["queue", "tokenize", "encode"]


def test_bad_requests_name_the_field(reranking):
    problem(reranking.post("/rerank", {"query": QUERY}), 422, "texts")
    problem(reranking.post("/rerank", {"query": QUERY, "texts": ["a"], "documents": ["a"]}), 422, "texts")
    problem(reranking.post("/rerank", {"query": QUERY, "texts": []}), 422, "texts")
    problem(reranking.post("/rerank", {"texts": ["a"]}), 422, "query")
    problem(reranking.post("/rerank", {"query": QUERY, "documents": [{"title": "a"}]}), 422, "documents[0]")
    problem(reranking.post("/rerank", {"query": QUERY, "texts": ["a"], "top_n": 0}), 422, "top_n")
    problem(reranking.post("/rerank", {"query": QUERY, "texts": ["a", "b " * 4000], "truncate": False}), 422, "texts[1]")
    assert len(reranking.ask("/rerank", {"query": QUERY, "texts": ["a", "b " * 4000]})) == 2
    problem(reranking.post("/predict", {"inputs": ["a", "b", "c"]}), 422, "inputs")
    problem(reranking.post("/predict", {"inputs": [["a"], []]}), 422, "inputs[1]")
    problem(reranking.post("/predict", {"inputs": [["a"], ["a", "b " * 4000]], "truncate": False}), 422, "inputs[1]")
    problem(reranking.post("/predict", {"inputs": "b " * 4000, "truncate": False}), 422, "inputs")
    answer = reranking.post("/v1/rerank", {"query": QUERY, "documents": []})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "documents"


def test_without_a_reranker_the_cure_is_named():
    with Server() as own:
        assert own.get("/info").json()["reranker"] is None
        for path, body in [
            ("/rerank", {"query": "a", "texts": ["b"]}),
            ("/predict", {"inputs": "a"}),
            ("/neighbors", {"inputs": "a", "rerank": {"top": 5}}),
        ]:
            assert "--reranker DIR" in problem(own.post(path, body), 422)["detail"]


def test_neighbors_are_sorted_anew(reranking, name):
    assert reranking.put(f"/collections/{name}", {"dim": 384}).status_code == 201
    texts = {f"p{index}": text for index, text in enumerate(["A ticket costs two coins.", *TEXTS[:2], TEXTS[4]])}
    points = [{"id": id, "text": text} for id, text in texts.items()]
    points.append({"id": "bare", "vector": reranking.ask("/embed", {"inputs": QUERY})[0]})
    assert reranking.put(f"/collections/{name}/points", {"points": points}).status_code == 200
    expected = dict(zip(texts, scores(reranking, QUERY, list(texts.values())), strict=True))
    (hits,) = reranking.ask("/neighbors", {"collection": name, "inputs": [QUERY], "k": 5, "rerank": {"top": 5}, "include": ["text"]})["results"]
    order = sorted(texts, key=lambda id: -expected[id])
    # A point without a text cannot be read, and stands behind the others although it is nearest.
    assert [hit["id"] for hit in hits] == [*order, "bare"]
    assert [hit.get("rerank_score") for hit in hits] == [*(expected[id] for id in order), None]
    plain = reranking.ask("/neighbors", {"collection": name, "inputs": [QUERY], "k": 5})["results"][0]
    assert plain[0]["id"] == "bare"
    assert {hit["id"]: hit["score"] for hit in plain} == {hit["id"]: hit["score"] for hit in hits}
    # Only the nearest are read; the others keep their order behind them.
    (some,) = reranking.ask("/neighbors", {"collection": name, "inputs": [QUERY], "k": 5, "rerank": {"top": 3}})["results"]
    near = [hit["id"] for hit in plain[1:3]]
    assert [hit["id"] for hit in some] == [*sorted(near, key=lambda id: -expected[id]), "bare", *(hit["id"] for hit in plain[3:])]
    assert ["rerank_score" in hit for hit in some] == [True, True, False, False, False]
    # Fewer are answered than are read.
    (few,) = reranking.ask("/neighbors", {"collection": name, "inputs": QUERY, "k": 2, "rerank": {}})["results"]
    assert [hit["id"] for hit in few] == order[:2]
    problem(reranking.post("/neighbors", {"collection": name, "ids": ["p0"], "rerank": {"top": 5}}), 422, "rerank")
    problem(reranking.post("/neighbors", {"inputs": "a", "rerank": {"top": 0}}), 422, "rerank.top")
    problem(reranking.post("/neighbors", {"inputs": ["a"] * 101, "rerank": {"top": 1000}}), 413, "rerank.top")
    problem(reranking.post("/neighbors", {"inputs": "a", "rerank": {"most": 1}}), 422, "rerank.most")
