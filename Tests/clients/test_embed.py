"""/embed, / and /similarity as plain HTTP."""

import json
import re

import golden
import numpy as np
import pytest
from golden import BY_TEXT, CASES, TEXTS, VECTORS, assert_vectors, decode
from problems import problem

LONG = [case for case in CASES if "left_vector" in case]


def test_one_text_is_a_list_of_one_row(server):
    rows = server.ask("/embed", {"inputs": "Hello, world!"})
    assert_vectors(rows, BY_TEXT["Hello, world!"][None])


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["text"][:24]))
def test_alone(server, case):
    assert_vectors(server.ask("/embed", {"inputs": [case["text"]]}), decode(case["vector"])[None])


def test_in_one_batch(server):
    rows = server.ask("/embed", {"inputs": TEXTS})
    assert_vectors(rows, VECTORS)
    assert np.allclose(np.linalg.norm(np.array(rows), axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("path", ["/embed", "/"])
def test_a_row_has_the_same_bytes_in_any_batch(server, path):
    def rows(texts):
        # The rows are compared as text, so that equal means the same bytes and not only the same numbers.
        return re.findall(r"\[[^\[\]]+\]", server.post(path, {"inputs": texts}).text)

    batch = rows(TEXTS)
    assert len(batch) == len(TEXTS)
    for text, row in zip(TEXTS, batch, strict=True):
        assert rows([text]) == [row]
    assert rows(TEXTS[::-1]) == batch[::-1]
    assert rows(TEXTS[:7] * 5) == batch[:7] * 5


def test_base64_is_the_same_f32(server):
    floats = np.array(server.ask("/embed", {"inputs": TEXTS}), dtype="f4")
    packed = server.ask("/embed", {"inputs": TEXTS, "encoding_format": "base64"})
    assert all(isinstance(row, str) for row in packed)
    assert np.array_equal(np.stack([decode(row) for row in packed]), floats)


def test_without_normalisation_the_length_is_the_models(server):
    rows = np.array(server.ask("/embed", {"inputs": TEXTS, "normalize": False}))
    norms = np.linalg.norm(rows, axis=1)
    assert np.allclose(norms, [case["norm"] for case in CASES], rtol=1e-4)
    assert_vectors(rows / norms[:, None], VECTORS)


@pytest.mark.parametrize("dimensions", [1, 7, 128, 384])
def test_dimensions(server, dimensions):
    rows = server.ask("/embed", {"inputs": TEXTS, "dimensions": dimensions})
    assert_vectors(rows, golden.reduced(VECTORS, dimensions))


def test_nulls_are_the_defaults(server):
    body = {"inputs": "a", "dimensions": None, "prompt_name": None, "truncation_direction": None}
    assert_vectors(server.ask("/embed", body), BY_TEXT["a"][None])


def test_long_texts_are_cut_on_the_right(server):
    assert len(LONG) >= 3
    rows = server.ask("/embed", {"inputs": [case["text"] for case in LONG], "truncation_direction": "right"})
    assert_vectors(rows, np.stack([decode(case["vector"]) for case in LONG]))


def test_long_texts_are_cut_on_the_left(server):
    rows = server.ask("/embed", {"inputs": [case["text"] for case in LONG], "truncation_direction": "left"})
    assert_vectors(rows, np.stack([decode(case["left_vector"]) for case in LONG]))


def test_without_truncation_a_long_text_is_named(server):
    response = server.post("/embed", {"inputs": ["short", "fine", LONG[0]["text"]], "truncate": False})
    assert response.status_code == 422
    assert response.json()["param"] == "inputs[2]"
    assert str(golden.LIMIT) in response.json()["detail"]


def test_without_truncation_the_longest_allowed_text_passes(server):
    # The text has 254 words of one token each, to which two special tokens are added.
    text = " ".join(["cat"] * (golden.LIMIT - 2))
    assert len(server.ask("/embed", {"inputs": text, "truncate": False})) == 1
    response = server.post("/embed", {"inputs": text + " cat", "truncate": False})
    assert response.status_code == 422
    assert response.json()["param"].startswith("inputs")


def test_a_content_type_with_parameters(server):
    body = json.dumps({"inputs": "naïve e\u0301te\u0301 vs \u00e9t\u00e9"}, ensure_ascii=False).encode()
    response = server.request("POST", "/embed", data=body, headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert response.status_code == 200
    assert response.headers["Content-Type"].split(";")[0] == "application/json"
    assert_vectors(response.json(), BY_TEXT["naïve e\u0301te\u0301 vs \u00e9t\u00e9"][None])


@pytest.mark.parametrize("path", ["/similarity", "/"])
@pytest.mark.parametrize("extra", [{}, {"parameters": {}}, {"parameters": None}, {"parameters": {"truncate": True}}])
def test_similarity(server, path, extra):
    source, others = TEXTS[5], TEXTS[:20]
    scores = server.ask(path, {"inputs": {"source_sentence": source, "sentences": others}, **extra})
    expected = [float(BY_TEXT[other].astype("f8") @ BY_TEXT[source].astype("f8")) for other in others]
    assert np.allclose(scores, expected, atol=1e-4)
    assert abs(scores[5] - 1) <= 1e-6
    assert max(scores) <= 1 + 1e-6


def test_the_root_takes_both_shapes(server):
    assert_vectors(server.ask("/", {"inputs": "a"}), BY_TEXT["a"][None])
    assert_vectors(server.ask("/", {"inputs": ["a", ""], "normalize": True}), np.stack([BY_TEXT["a"], BY_TEXT[""]]))


def ids_of(server, text, special=True):
    body = {"inputs": text, "add_special_tokens": special}
    return [token["id"] for token in server.ask("/tokenize", body)[0]]


def test_token_ids_in_place_of_texts(server):
    """As in text-embeddings-inference, one sequence or a list of sequences is encoded unchanged."""
    one, two = ids_of(server, TEXTS[5]), ids_of(server, TEXTS[6])
    expected = server.ask("/embed", {"inputs": [TEXTS[5], TEXTS[6]]})
    assert server.ask("/embed", {"inputs": one}) == expected[:1]
    assert server.ask("/embed", {"inputs": [one, two]}) == expected
    bare = server.ask("/embed", {"inputs": ids_of(server, TEXTS[5], special=False)})
    assert bare != expected[:1] and len(bare[0]) == 384


def test_long_sequences_of_token_ids(server):
    long = [101] + [4937] * 300 + [3899] * 300 + [102]
    expected = server.ask("/embed", {"inputs": [[101] + [4937] * 254 + [102], [101] + [3899] * 254 + [102]]})
    assert server.ask("/embed", {"inputs": long}) == expected[:1]
    assert server.ask("/embed", {"inputs": [long], "truncation_direction": "Left"}) == expected[1:]
    problem(server.post("/embed", {"inputs": [[101], long], "truncate": False}), 422, "inputs[1]")


@pytest.mark.parametrize(
    "inputs, param",
    [([1.5], "inputs[0]"), ([-1], "inputs[0]"), ([30522], "inputs[0]"), ([[101], []], "inputs[1]"), ([[1], "a"], "inputs[1]")],
)
def test_token_ids_that_are_not(server, inputs, param):
    problem(server.post("/embed", {"inputs": inputs}), 422, param)


@pytest.mark.parametrize(
    "path, body",
    [
        ("/embed", {"inputs": "a"}),
        ("/", {"inputs": "a"}),
        ("/tokenize", {"inputs": "a"}),
        ("/similarity", {"inputs": {"source_sentence": "a", "sentences": ["b"]}}),
        ("/", {"inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": {"truncate": True}}),
    ],
)
def test_fields_that_other_clients_send_along_are_ignored(server, path, body):
    """LangChain and Hugging Face's own API send `options`."""
    extra = {"options": {"wait_for_model": True, "use_cache": False}, "not_yet_invented": [1]}
    assert server.ask(path, {**body, **extra}) == server.ask(path, body)


@pytest.mark.parametrize("path", ["/similarity", "/"])
def test_every_text_has_the_same_limit(server, path):
    long = "a" * 1_000_001
    body = {"inputs": {"source_sentence": long, "sentences": ["b"]}}
    found = problem(server.post(path, body), 413, "inputs.source_sentence")
    assert "1000000" in found["detail"]
    body = {"inputs": {"source_sentence": "b", "sentences": ["b", long]}}
    problem(server.post(path, body), 413, "inputs.sentences[1]")
