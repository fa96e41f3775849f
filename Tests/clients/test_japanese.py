"""multilingual-e5-small: the ids and vectors of the original libraries, and retrieval in Japanese."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from process import MODEL, ROOT, Server

HERE = Path(__file__).parent
E5 = str(ROOT / "models" / "multilingual-e5-small")
CASES = json.loads((HERE / "fixtures" / "multilingual_e5_small.json").read_text())
RETRIEVAL = json.loads((HERE / "fixtures" / "japanese.json").read_text())


@pytest.fixture(scope="module")
def e5():
    with Server(model=E5) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["text"][:16]))
def test_ids_and_vectors_are_those_of_the_original(e5, case):
    (tokens,) = e5.ask("/tokenize", {"inputs": case["text"]})
    ids = [token["id"] for token in tokens]
    assert ids == case["ids"] if len(ids) <= 512 else ids[:511] == case["ids"][:511]
    (row,) = e5.ask("/embed", {"inputs": case["text"]})
    expected = np.frombuffer(base64.b64decode(case["vector"]), "<f4").astype("f8")
    assert np.dot(row, expected) / (np.linalg.norm(row) * np.linalg.norm(expected)) >= 0.999999
    assert np.abs(np.array(row) - expected).max() < 1e-5


def recall(server: Server) -> float:
    """The share of questions whose answer comes first."""
    points = [{"id": str(index), "text": text} for index, text in enumerate(RETRIEVAL["passages"])]
    assert server.put("/collections/default/points", {"points": points}).status_code == 200
    questions = [entry["question"] for entry in RETRIEVAL["questions"]]
    results = server.ask("/neighbors", {"inputs": questions, "k": 1})["results"]
    found = [hits[0]["id"] == str(entry["passage"]) for hits, entry in zip(results, RETRIEVAL["questions"], strict=True)]
    return sum(found) / len(found)


def test_questions_find_their_answers(e5):
    assert len(RETRIEVAL["passages"]) == 200 and len(RETRIEVAL["questions"]) == 30
    assert recall(e5) >= 0.9
    described = e5.get("/collections/default").json()
    assert described["prompts"] == {"query": "query: ", "document": "passage: "}


def test_the_english_model_does_not_find_them():
    with Server(model=MODEL) as own:
        assert recall(own) < 0.4
