"""Compares neighbours under each metric with an exact search in numpy."""

import numpy as np
import pytest
from problems import problem

RANDOM = np.random.default_rng(23)
ROWS = RANDOM.standard_normal((500, 16)).astype("f4") * RANDOM.uniform(0.2, 5, (500, 1)).astype("f4")
QUERIES = RANDOM.standard_normal((9, 16)).astype("f4")
METRICS = ["cosine", "dot", "euclidean"]


def scores_of(metric, queries, rows):
    queries, rows = np.asarray(queries, "f8"), np.asarray(rows, "f8")
    if metric == "euclidean":
        return -np.linalg.norm(queries[:, None] - rows[None], axis=2)
    products = queries @ rows.T
    if metric == "dot":
        return products
    return products / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(rows, axis=1)


@pytest.fixture(scope="module", params=METRICS)
def metric(server, request):
    name = f"metric-{request.param}"
    server.delete(f"/collections/{name}")
    made = server.put(f"/collections/{name}", {"dim": 16, "metric": request.param})
    assert made.status_code == 201 and made.json()["metric"] == request.param
    points = [{"id": f"{index:03d}", "vector": row.tolist()} for index, row in enumerate(ROWS)]
    assert server.put(f"/collections/{name}/points", {"points": points}).status_code == 200
    yield request.param
    server.delete(f"/collections/{name}")


@pytest.mark.parametrize("k", [1, 10, 500])
def test_exact(server, metric, k):
    body = {"collection": f"metric-{metric}", "vectors": QUERIES.tolist(), "k": k, "exact": True}
    answer = server.ask("/neighbors", body)
    assert answer["mode"] == "exact"
    for scores, found in zip(scores_of(metric, QUERIES, ROWS), answer["results"], strict=True):
        order = np.argsort(-scores, kind="stable")[:k]
        assert [item["id"] for item in found] == [f"{index:03d}" for index in order]
        assert np.allclose([item["score"] for item in found], scores[order], rtol=1e-6, atol=1e-6)


def test_ef(server, metric):
    body = {"collection": f"metric-{metric}", "vectors": QUERIES.tolist(), "k": 10, "ef": 400}
    answer = server.ask("/neighbors", body)
    assert answer["mode"] in ("exact", "graph")
    hits = 0
    for scores, found in zip(scores_of(metric, QUERIES, ROWS), answer["results"], strict=True):
        best = {f"{index:03d}" for index in np.argsort(-scores, kind="stable")[:10]}
        hits += len(best & {item["id"] for item in found})
    assert hits >= 0.95 * 10 * len(QUERIES)


def test_threshold(server, metric):
    scores = np.sort(scores_of(metric, QUERIES[:1], ROWS)[0])[::-1]
    threshold = float((scores[4] + scores[5]) / 2)
    body = {"collection": f"metric-{metric}", "vectors": QUERIES[:1].tolist(), "score_threshold": threshold, "k": 10}
    answer = server.ask("/neighbors", body)
    assert len(answer["results"][0]) == 5
    assert "threshold" in answer["short_reasons"][0]


def test_by_stored_point(server, metric):
    answer = server.ask("/neighbors", {"collection": f"metric-{metric}", "ids": ["007"], "k": 499, "exact": True})
    scores = scores_of(metric, ROWS[7:8], ROWS)[0]
    order = [index for index in np.argsort(-scores, kind="stable") if index != 7]
    assert [item["id"] for item in answer["results"][0]] == [f"{index:03d}" for index in order]
    assert "short_reasons" not in answer


def test_a_vector_of_zeros(server, metric):
    body = {"collection": f"metric-{metric}", "vectors": [[0] * 16], "k": 3}
    if metric == "cosine":
        problem(server.post("/neighbors", body), 422, "vectors[0]")
        return
    scores = scores_of(metric, [[0] * 16], ROWS)[0]
    found = server.ask("/neighbors", {**body, "exact": True})["results"][0]
    assert np.allclose([item["score"] for item in found], np.sort(scores)[::-1][:3], atol=1e-6)


def test_another_metric_is_a_conflict(server, metric):
    other = METRICS[METRICS.index(metric) - 1]
    problem(server.put(f"/collections/metric-{metric}", {"dim": 16, "metric": other}), 409)
