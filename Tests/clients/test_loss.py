"""Compares /loss for infonce with float64."""

import math

import numpy as np
import pytest
from golden import BY_TEXT, LOSSES, assert_loss

RETURN = ["loss", "per_row"]


@pytest.mark.parametrize("case", LOSSES["cases"], ids=lambda case: case["name"])
def test_golden(server, case):
    request = case["request"]
    answer = server.ask("/loss", {"objective": "infonce", "return": RETURN, **request})
    temperature = request.get("temperature", 0.07)
    assert_loss(answer["loss"], case["loss"], temperature)
    assert_loss(answer["per_row"], case["per_row"], temperature)
    assert set(answer) == {"loss", "objective", "rows", "candidates", "dim", "temperature", "per_row"}
    assert answer["objective"] == "infonce"
    assert answer["rows"] == len(request["queries"])
    assert answer["candidates"] == case["candidates"]
    assert answer["dim"] == len(request["queries"][0])
    assert answer["temperature"] == pytest.approx(temperature, rel=1e-6)


def test_only_the_loss_by_default(server):
    answer = server.ask("/loss", {"queries": [[1, 0], [0, 1]], "keys": [[1, 0], [0, 1]]})
    assert "per_row" not in answer
    assert_loss(answer["loss"], math.log1p(math.exp(-1 / 0.07)), 0.07)


def test_the_loss_is_the_mean_of_its_rows(server):
    case = LOSSES["cases"][0]["request"]
    answer = server.ask("/loss", {**case, "return": RETURN})
    assert answer["loss"] == pytest.approx(np.mean(answer["per_row"]), rel=1e-6)


def test_options_that_are_null_are_not_there(server):
    case = LOSSES["cases"][0]
    nulls = {"negatives": None, "positives": None, "labels": None, "queue": None}
    answer = server.ask("/loss", {**case["request"], **nulls})
    assert_loss(answer["loss"], case["loss"], 0.07)


def test_every_option_with_its_default(server):
    case = LOSSES["cases"][0]
    defaults = {
        "objective": "infonce",
        "negatives": None,
        "positives": None,
        "labels": None,
        "temperature": 0.07,
        "normalize": True,
        "in_batch_negatives": True,
        "bias": -10.0,
        "queue": None,
        "return": ["loss"],
    }
    assert_loss(server.ask("/loss", {**case["request"], **defaults})["loss"], case["loss"], 0.07)


def test_the_same_request_gives_the_same_bytes(server):
    case = LOSSES["cases"][-1]["request"]
    assert len({server.post("/loss", {**case, "return": RETURN}).content for _ in range(3)}) == 1


def test_numbers_as_integers_and_exponents(server):
    whole = server.ask("/loss", {"queries": [[1, 2]], "keys": [[2, 1]], "negatives": [[1, 0]]})
    text = b'{"queries": [[1.0, 2e0]], "keys": [[20E-1, 1]], "negatives": [[1, -0.0]]}'
    response = server.request("POST", "/loss", data=text, headers={"Content-Type": "application/json"})
    assert response.json() == whole


def text_infonce(queries, keys, negatives=None, temperature=0.07):
    rows, columns = (np.stack([BY_TEXT[text] for text in texts]).astype("f8") for texts in (queries, keys))
    positive = (rows * columns).sum(1) / temperature
    logits = rows @ columns.T / temperature
    if negatives is not None:
        if isinstance(negatives[0], str):
            extra = rows @ np.stack([BY_TEXT[text] for text in negatives]).astype("f8").T
        else:
            own = np.stack([[BY_TEXT[text] for text in group] for group in negatives]).astype("f8")
            extra = np.einsum("nd,nmd->nm", rows, own)
        logits = np.concatenate([logits, extra / temperature], axis=1)
    return np.logaddexp.reduce(logits, axis=1) - positive


QUERIES = ["The cat sits on the mat.", "Interest rates rose by 0.25 percentage points in June."]
KEYS = ["A feline rests upon a rug.", "the central bank made borrowing more expensive"]


@pytest.mark.parametrize(
    "negatives",
    [
        None,
        ["Hello, world!", "a", "only 🦄"],
        [["Hello, world!", "a"], ["", "line one\nline two\nline three"]],
    ],
    ids=["none", "shared", "each row's own"],
)
def test_texts(server, negatives):
    body = {"queries": QUERIES, "keys": KEYS, "negatives": negatives, "return": RETURN}
    answer = server.ask("/loss", body)
    expected = text_infonce(QUERIES, KEYS, negatives)
    # The embeddings may differ by 1e-4 per value, and dividing by τ = 0.07 makes that about 15 times as much in a logit.
    assert np.allclose(answer["per_row"], expected, rtol=2e-3, atol=2e-3)
    assert answer["dim"] == 384
    assert answer["rows"] == 2


def test_texts_are_the_vectors_that_embed_gives(server):
    rows = {name: server.ask("/embed", {"inputs": texts}) for name, texts in (("queries", QUERIES), ("keys", KEYS))}
    by_text = server.ask("/loss", {"queries": QUERIES, "keys": KEYS, "return": RETURN})
    by_vector = server.ask("/loss", {**rows, "return": RETURN})
    assert_loss(by_text["per_row"], by_vector["per_row"], 0.07)


def test_many_rows_beside_float64(server):
    random = np.random.default_rng(5)
    queries, keys = (random.standard_normal((700, 48)).astype("f4").astype("f8") for _ in range(2))
    answer = server.ask(
        "/loss", {"queries": queries.tolist(), "keys": keys.tolist(), "temperature": 0.05, "return": RETURN}
    )
    left, right = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (queries, keys))
    logits = left @ right.T / 0.05
    per_row = np.logaddexp.reduce(logits, axis=1) - np.diag(logits)
    assert_loss(answer["per_row"], per_row, 0.05)
    assert_loss(answer["loss"], per_row.mean(), 0.05)
