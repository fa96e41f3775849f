"""Compares every objective and its gradients with automatic differentiation in float64, in JSON and in safetensors."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from problems import problem
from tensors import pack, unpack

CASES = json.loads((Path(__file__).parent / "fixtures" / "objectives.json").read_text())["cases"]
EVERYTHING = ["loss", "per_row", "gradients", "diagnostics"]
BINARY = "application/x-safetensors"


def check(found, expected, temperature):
    found, expected = np.asarray(found, "f8"), np.asarray(expected, "f8")
    assert found.shape == expected.shape
    tolerance = (1e-5 + 1e-6 / temperature) * np.maximum(1, np.abs(expected))
    assert np.all(np.abs(found - expected) <= tolerance), np.max(np.abs(found - expected) / tolerance)


@pytest.fixture
def queue(server):
    """Makes queues that hold given rows, and deletes them after the test."""
    made = []

    def fill(rows):
        name = f"filled-{len(made)}"
        made.append(name)
        server.put(f"/queues/{name}", {"capacity": len(rows) + 3, "dim": len(rows[0])})
        server.ask("/loss", {"queries": rows, "keys": rows, "queue": name})
        return name

    yield fill
    for name in made:
        server.delete(f"/queues/{name}")


def options_of(case, queue):
    if "queue" not in case:
        return case["options"]
    return {**case["options"], "queue": {"name": queue(case["queue"]), "update": False}}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_json(server, case, queue):
    inputs = {name: case[name] for name in ("queries", "keys", "negatives") if name in case}
    answer = server.ask("/loss", {**inputs, **options_of(case, queue), "return": EVERYTHING})
    check(answer["loss"], case["loss"], case["temperature"])
    check(answer["per_row"], case["per_row"], case["temperature"])
    assert answer.get("excluded", []) == case["excluded"]
    assert set(answer["gradients"]) == set(case["gradients"])
    for name, expected in case["gradients"].items():
        check(answer["gradients"][name], expected, case["temperature"])
    # The gradients have the same bytes whatever else is requested.
    plain = server.ask("/loss", {**inputs, **options_of(case, queue), "return": ["per_row", "gradients"]})
    assert plain["gradients"] == answer["gradients"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_safetensors(server, case, queue):
    options = options_of(case, queue)
    tensors = {name: np.array(case[name], "<f4") for name in ("queries", "keys", "negatives") if name in case}
    metadata = {"format": "np", "return": json.dumps(EVERYTHING)}
    for name, value in options.items():
        if name in ("labels", "positives"):
            tensors[name] = np.array(value, "<i8" if name == "labels" else "<i4")
        else:
            metadata[name] = value if isinstance(value, str) else json.dumps(value)
    response = server.request(
        "POST", "/loss", data=pack(tensors, metadata), headers={"Content-Type": BINARY, "Accept": BINARY})
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == BINARY
    found, said = unpack(response.content)
    check(found["loss"], case["loss"], case["temperature"])
    check(found["per_row"], case["per_row"], case["temperature"])
    assert {name for name in found if "." in name} == {f"gradients.{name}" for name in case["gradients"]}
    for name, expected in case["gradients"].items():
        check(found[f"gradients.{name}"], expected, case["temperature"])
    assert said["objective"] == case["options"]["objective"]
    assert json.loads(said["rows"]) == len(case["queries"])
    assert json.loads(said.get("excluded", "[]")) == case["excluded"]
    assert isinstance(json.loads(said["diagnostics"]), dict)


def test_diagnostics_beside_numpy(server):
    random = np.random.default_rng(8)
    queries = random.standard_normal((90, 12)).astype("f4").astype("f8")
    keys = (queries + 1.2 * random.standard_normal((90, 12))).astype("f4").astype("f8")
    answer = server.ask("/loss", {"queries": queries.tolist(), "keys": keys.tolist(), "return": ["diagnostics"]})
    q = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    k = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    cosine = q @ k.T
    positive = cosine.diagonal()
    rank = 1 + (np.where(np.eye(90, dtype=bool), -9, cosine) >= positive[:, None]).sum(1)
    logits = cosine / 0.07
    share = np.exp(logits - logits.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    entropy = -(share * np.log(np.maximum(share, 1e-300))).sum(1).mean()
    others = cosine[~np.eye(90, dtype=bool)].reshape(90, 89)

    def uniformity(x):
        squares = ((x[:, None] - x[None]) ** 2).sum(-1)
        return math.log(np.exp(-2 * squares[np.triu_indices(90, 1)]).mean())

    expected = {
        "accuracy_top1": (rank == 1).mean(), "accuracy_top5": (rank <= 5).mean(),
        "mean_reciprocal_rank": (1 / rank).mean(), "mutual_information_bound": math.log(90) - answer["loss"],
        "alignment": ((q - k) ** 2).sum(1).mean(), "uniformity_queries": uniformity(q), "uniformity_keys": uniformity(k),
        "positive_similarity": positive.mean(), "negative_similarity": others.mean(),
        "hardest_negative_similarity": others.max(1).mean(), "softmax_entropy": entropy, "perplexity": math.exp(entropy),
    }
    found = answer["diagnostics"]
    pairs = found.pop("likely_false_negatives")
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=2e-5), name
    margin = cosine - positive[:, None]
    wanted = sorted(((-margin[i, j], i, j) for i in range(90) for j in range(90) if i != j and margin[i, j] > 0))[:100]
    assert len(pairs) == len(wanted)
    assert [margin[i, j] for i, j in pairs] == pytest.approx([-value for value, _, _ in wanted], abs=1e-6)


@pytest.mark.parametrize("kind, tolerance", [("f2", 0), ("bf16", 0)])
def test_short_floats(server, kind, tolerance):
    random = np.random.default_rng(4)
    exact = (random.integers(-8, 9, (6, 8)) / 8).astype("<f4") + np.float32(0.5)
    wide = unpack_loss(server, pack({"queries": exact, "keys": exact[::-1].copy()}))
    if kind == "f2":
        body = pack({"queries": exact.astype("<f2"), "keys": exact[::-1].astype("<f2")})
    else:
        body = pack({"queries": exact, "keys": exact[::-1].copy()}, bf16=("queries", "keys"))
    assert abs(unpack_loss(server, body) - wide) <= tolerance


def unpack_loss(server, body):
    response = server.request("POST", "/loss", data=body, headers={"Content-Type": BINARY})
    assert response.status_code == 200, response.text
    return response.json()["loss"]


ROWS = np.ones((3, 2), "<f4")


@pytest.mark.parametrize(
    "body, status, param",
    [
        (b"", 400, None),
        (b"\x00" * 40, 400, None),
        (pack({"queries": ROWS, "keys": ROWS})[:-4], 400, None),
        (pack({"keys": ROWS}), 422, "queries"),
        (pack({"queries": ROWS}), 422, "keys"),
        (pack({"queries": ROWS, "keys": ROWS, "extra": ROWS}), 422, "extra"),
        (pack({"queries": np.array([[1, 2], [np.nan, 1], [1, 1]], "<f4"), "keys": ROWS}), 422, "queries[1]"),
        (pack({"queries": ROWS, "keys": np.array([[1, 2], [1, 1], [np.inf, 1]], "<f4")}), 422, "keys[2]"),
        (pack({"queries": ROWS, "keys": ROWS * 0}), 422, "keys[0]"),
        (pack({"queries": ROWS.astype("<i8"), "keys": ROWS}), 422, "queries"),
        (pack({"queries": ROWS, "keys": ROWS, "labels": np.arange(3)}), 422, "labels"),
        (pack({"queries": ROWS, "keys": ROWS}, {"temperature": "cold"}), 422, "temperature"),
        (pack({"queries": ROWS, "keys": ROWS}, {"tau": "1"}), 422, "tau"),
        (pack({"queries": ROWS, "keys": ROWS}, {"objective": "mse"}), 422, "objective"),
    ],
    ids=range(14),
)
def test_bad_safetensors(server, alive, body, status, param):
    response = server.request("POST", "/loss", data=body, headers={"Content-Type": BINARY})
    problem(response, status, param)


@pytest.mark.parametrize(
    "change, param",
    [
        ({"objective": "simsiam", "negatives": [[1, 2]]}, "negatives"),
        ({"objective": "simsiam", "temperature": 0.5}, "temperature"),
        ({"objective": "byol", "queue": "q"}, "queue"),
        ({"objective": "symmetric", "in_batch_negatives": False}, "in_batch_negatives"),
        ({"objective": "symmetric", "keys": [[1, 2]]}, "keys"),
        ({"objective": "nt_xent", "positives": [0, 1]}, "positives"),
        ({"objective": "sigmoid", "labels": [0, 1]}, "labels"),
        ({"objective": "supcon"}, "labels"),
        ({"objective": "supcon", "keys": None, "labels": [1, 2]}, "labels"),
        ({"objective": "supcon", "labels": [1]}, "labels"),
        ({"objective": "moco"}, "queue"),
        ({"objective": "moco", "queue": "q", "in_batch_negatives": True}, "in_batch_negatives"),
        ({"objective": "dcl", "queries": [[1, 2]], "keys": [[1, 2]]}, "negatives"),
        ({"objective": "sigmoid", "bias": 1e300}, "bias"),
        ({"return": ["everything"]}, "return"),
        ({"queue": {"name": "q", "append": True}}, "queue.append"),
    ],
    ids=range(16),
)
def test_options_that_do_not_fit(server, alive, change, param):
    problem(server.post("/loss", {"queries": [[1, 2], [3, 1]], "keys": [[1, 1], [0, 1]], **change}), 422, param)


def test_embeddings_as_safetensors(server):
    texts = ["one", "two"]
    response = server.request("POST", "/embed", json={"inputs": texts}, headers={"Accept": BINARY})
    assert response.headers["Content-Type"] == BINARY
    tensors, _ = unpack(response.content)
    assert np.array_equal(tensors["embeddings"], np.array(server.ask("/embed", {"inputs": texts}), "f4"))


def test_a_large_batch_with_gradients(server):
    random = np.random.default_rng(1)
    tensors = {name: random.standard_normal((2048, 384)).astype("<f4") for name in ("queries", "keys")}
    body = pack(tensors, {"return": '["loss", "gradients"]', "temperature": "0.1"})
    response = server.request("POST", "/loss", data=body, headers={"Content-Type": BINARY, "Accept": BINARY})
    found, _ = unpack(response.content)
    q, k = (tensors[name].astype("f8") for name in ("queries", "keys"))
    logits = (q / np.linalg.norm(q, axis=1, keepdims=True)) @ (k / np.linalg.norm(k, axis=1, keepdims=True)).T / 0.1
    top = logits.max(1)
    per_row = top + np.log(np.exp(logits - top[:, None]).sum(1)) - logits.diagonal()
    check(found["loss"], per_row.mean(), 0.1)
    # A cosine does not depend on the length of a row, so its gradient is orthogonal to the row.
    along = np.abs((found["gradients.queries"] * q).sum(1))
    assert along.max() <= 1e-6
