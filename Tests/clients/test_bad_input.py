"""Each bad input is answered with the right status and a body that names the cause, and the server goes on."""

import pytest
from problems import problem

pytestmark = pytest.mark.usefixtures("alive")
JSON = {"Content-Type": "application/json"}
GOOD = {"queries": [[1, 0], [0, 1], [1, 1], [1, 2]], "keys": [[1, 0], [0, 1], [1, 1], [2, 1]]}


MALFORMED = {
    "empty body": b"",
    "only white space": b" \n\t ",
    "cut off": b'{"inputs": ["a", "b"',
    "trailing comma": b'{"inputs": "a",}',
    "single quotes": b"{'inputs': 'a'}",
    "comment": b'{"inputs": "a" /* why */}',
    "two values": b'{"inputs": "a"} {"inputs": "b"}',
    "garbage after the value": b'{"inputs": "a"}x',
    "duplicate key": b'{"inputs": "a", "inputs": "b"}',
    "duplicate key by an escape": b'{"inputs": "a", "\\u0069nputs": "b"}',
    "number beyond a double": b'{"inputs": "a", "dimensions": 1e999}',
    "negative number beyond a double": b'{"inputs": "a", "dimensions": -1e999}',
    "NaN": b'{"inputs": "a", "dimensions": NaN}',
    "Infinity": b'{"inputs": "a", "dimensions": Infinity}',
    "leading zero": b'{"inputs": "a", "dimensions": 012}',
    "plus sign": b'{"inputs": "a", "dimensions": +12}',
    "bare point": b'{"inputs": "a", "dimensions": .5}',
    "not UTF-8": b'{"inputs": "caf\xe9"}',
    "UTF-8 cut off": b'{"inputs": "caf\xc3"}',
    "overlong UTF-8": b'{"inputs": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"inputs": "\xed\xa0\x80"}',
    "half a surrogate pair": b'{"inputs": "\\ud800"}',
    "unknown escape": b'{"inputs": "\\x41"}',
    "control character": b'{"inputs": "a\nb"}',
    "too deep": b'{"inputs": ' + b"[" * 40 + b"]" * 40 + b"}",
    "very deep": b"[" * 200_000,
    "UTF-16": '{"inputs": "a"}'.encode("utf-16"),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("path", ["/embed", "/loss"])
def test_malformed_json_is_400(server, path, body):
    problem(server.request("POST", path, data=body, headers=JSON), 400)


@pytest.mark.parametrize("path", ["/embed", "/v1/embeddings"])
def test_a_byte_order_mark_is_ignored(server, path):
    body = b'{"inputs": "a", "input": "a"}'
    plain = server.request("POST", path, data=body, headers=JSON)
    marked = server.request("POST", path, data=b"\xef\xbb\xbf" + body, headers=JSON)
    assert plain.status_code == marked.status_code == 200
    assert marked.content == plain.content
    found = server.request("POST", "/embed", data=b'\xef\xbb\xbf{"inputs": x}', headers=JSON)
    assert "at byte 14" in problem(found, 400)["detail"]
    problem(server.request("POST", "/embed", data=b"\xef\xbb\xbf" * 2 + body, headers=JSON), 400)
    problem(server.request("POST", "/embed", data=b"\xef\xbb\xbf", headers=JSON), 400)


def test_malformed_json_is_400_for_collections_too(server):
    problem(server.request("PUT", "/collections/bad", data=b'{"dim": 3, "dim": 4}', headers=JSON), 400)
    assert server.get("/collections/bad").status_code == 404


def test_a_duplicate_key_deep_inside_metadata(server):
    body = b'{"points": [{"id": "a", "text": "x", "metadata": {"a": {"b": 1, "b": 2}}}]}'
    problem(server.request("PUT", "/collections/default/points", data=body, headers=JSON), 400)


def test_nesting_up_to_the_limit(server):
    value = 1
    # The body, `points`, the point and its metadata are four of the 32 levels.
    for _ in range(28):
        value = [value]
    body = {"points": [{"id": "deep", "text": "x", "metadata": {"a": value}}]}
    assert server.put("/collections/default/points", body).status_code == 200
    body["points"][0]["metadata"]["a"] = [value]
    problem(server.put("/collections/default/points", body), 400)
    server.ask("/collections/default/points/delete", {"ids": ["deep"]})


@pytest.mark.parametrize(
    "body, param",
    [
        ([], None),
        ("text", None),
        (5, None),
        ({}, "inputs"),
        ({"inputs": None}, "inputs"),
        ({"inputs": 5}, "inputs"),
        ({"inputs": []}, "inputs"),
        ({"inputs": ["a", 5]}, "inputs[1]"),
        ({"inputs": ["a", None]}, "inputs[1]"),
        ({"inputs": [["a"]]}, "inputs[0]"),
        ({"inputs": {"source_sentence": "a", "sentences": ["b"]}}, "inputs"),
        ({"inputs": "a", "normalize": "yes"}, "normalize"),
        ({"inputs": "a", "truncate": 1}, "truncate"),
        ({"inputs": "a", "truncation_direction": "up"}, "truncation_direction"),
        ({"inputs": "a", "truncation_direction": 1}, "truncation_direction"),
        ({"inputs": "a", "prompt_name": "query"}, "prompt_name"),
        ({"inputs": "a", "dimensions": 0}, "dimensions"),
        ({"inputs": "a", "dimensions": -1}, "dimensions"),
        ({"inputs": "a", "dimensions": 385}, "dimensions"),
        ({"inputs": "a", "dimensions": 1.5}, "dimensions"),
        ({"inputs": "a", "dimensions": "64"}, "dimensions"),
        ({"inputs": "a", "dimensions": 10**30}, "dimensions"),
        ({"inputs": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"inputs": "a", "encoding_format": 1}, "encoding_format"),
    ],
)
def test_invalid_embed(server, body, param):
    problem(server.post("/embed", body), 422, param)


@pytest.mark.parametrize(
    "path, body, param",
    [
        ("/tokenize", {}, "inputs"),
        ("/tokenize", {"inputs": []}, "inputs"),
        ("/tokenize", {"inputs": [1]}, "inputs[0]"),
        ("/tokenize", {"inputs": "a", "add_special_tokens": "no"}, "add_special_tokens"),
        ("/similarity", {}, "inputs"),
        ("/similarity", {"inputs": "a"}, "inputs"),
        ("/similarity", {"inputs": {"sentences": ["a"]}}, "inputs"),
        ("/similarity", {"inputs": {"source_sentence": "a"}}, "inputs"),
        ("/similarity", {"inputs": {"source_sentence": "a", "sentences": []}}, "inputs.sentences"),
        ("/similarity", {"inputs": {"source_sentence": "a", "sentences": "b"}}, "inputs.sentences"),
        ("/similarity", {"inputs": {"source_sentence": 1, "sentences": ["b"]}}, "inputs.source_sentence"),
        ("/similarity", {"inputs": {"source_sentence": "a", "sentences": ["b", 2]}}, "inputs.sentences[1]"),
        ("/", {"inputs": {"source_sentence": "a", "sentences": []}}, "inputs.sentences"),
        ("/", {"inputs": []}, "inputs"),
        ("/", {}, "inputs"),
    ],
)
def test_invalid_text_requests(server, path, body, param):
    problem(server.post(path, body), 422, param)


@pytest.mark.parametrize(
    "change, param",
    [
        ({"queries": None}, "queries"),
        ({"queries": []}, "queries"),
        ({"keys": []}, "keys"),
        ({"queries": [[]] * 4}, "queries"),
        ({"queries": [1, 0]}, "queries"),
        ({"queries": [[[1, 0]]] * 4}, "queries"),
        ({"queries": "text"}, "queries"),
        ({"queries": {"a": 1}}, "queries"),
        ({"queries": [[1, 0], [0, 1], [1, 1], [1]]}, "queries[3]"),
        ({"queries": [[1, 0], [0, 1], [1, 1], [1, 2, 3]]}, "queries[3]"),
        ({"queries": [[1, 0], [0, 1], [1, "1"], [1, 2]]}, "queries[2]"),
        ({"queries": [[1, 0], [0, 1], [1, None], [1, 2]]}, "queries[2]"),
        ({"queries": [[1, 0], [0, 1], [1, True], [1, 2]]}, "queries[2]"),
        ({"queries": [[1, 0], [0, 1], "text", [1, 2]]}, "queries[2]"),
        ({"queries": [[1, 0], [0, 1], [1, 1], [0, 0]]}, "queries[3]"),
        ({"queries": [[1, 0], [0, 1], [1, 1], [0.0, -0.0]]}, "queries[3]"),
        ({"keys": [[1, 0], [0, 0], [1, 1], [2, 1]]}, "keys[1]"),
        ({"queries": [[1, 0], [0, 1], [1, 1], [1e39, 1]]}, "queries[3]"),
        ({"keys": [[1, 0], [0, 1], [1, -1e300], [1, 1]]}, "keys[2]"),
        ({"keys": [[1, 0, 0]] * 4}, "keys"),
        ({"keys": [[1, 0]] * 5}, "positives"),
        ({"keys": [[1, 0]] * 3}, "positives"),
        ({"keys": [[1, 0]] * 5, "positives": [0, 1, 2]}, "positives"),
        ({"keys": [[1, 0]] * 5, "positives": [0, 1, 2, 5]}, "positives[3]"),
        ({"keys": [[1, 0]] * 5, "positives": [0, 1, -1, 3]}, "positives[2]"),
        ({"keys": [[1, 0]] * 5, "positives": [0, 1.5, 2, 3]}, "positives[1]"),
        ({"keys": [[1, 0]] * 5, "positives": "all"}, "positives"),
        ({"negatives": [[1, 0, 0]]}, "negatives"),
        ({"negatives": [[0, 0]]}, "negatives[0]"),
        ({"negatives": []}, "negatives"),
        ({"negatives": [[[1, 0]]] * 3}, "negatives"),
        ({"negatives": [[[1, 0]], [[1, 0], [0, 1]], [[1, 0]], [[1, 0]]]}, "negatives[1]"),
        ({"negatives": [[[1, 0]], [[1, 0]], [[0, 0]], [[1, 0]]]}, "negatives[2]"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": -0.07}, "temperature"),
        ({"temperature": "cold"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"normalize": 1}, "normalize"),
        ({"in_batch_negatives": "no"}, "in_batch_negatives"),
        ({"objective": "infoNCE"}, "objective"),
        ({"objective": 1}, "objective"),
        ({"labels": [0, 0, 1, 1]}, "labels"),
        ({"bias": -5.0}, "bias"),
        ({"queue": 3}, "queue"),
        ({"queue": {"update": False}}, "queue.name"),
        ({"return": "loss"}, "return"),
        ({"return": ["losses"]}, "return"),
        ({"return": [1]}, "return"),
        ({"tau": 0.1}, "tau"),
    ],
)
def test_invalid_loss(server, change, param):
    found = problem(server.post("/loss", {**GOOD, **change}), 422, param)
    assert param.split("[")[0] in found["detail"] + found["param"]


def test_a_mixture_of_texts_and_vectors(server):
    # The texts are embedded in the model's dimension, but the keys have dimension 2.
    problem(server.post("/loss", {**GOOD, "queries": ["a", "b", "c", "d"]}), 422)
