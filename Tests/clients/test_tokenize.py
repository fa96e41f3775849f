"""Compares /tokenize with the original tokenizer: ids, texts and byte offsets."""

import pytest
from golden import CASES, TEXTS


def as_rows(tokens):
    assert all(set(token) == {"id", "text", "special", "start", "stop"} for token in tokens)
    return [[token["id"], token["text"], token["special"], token["start"], token["stop"]] for token in tokens]


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["text"][:24]))
def test_every_token(server, case):
    answer = server.ask("/tokenize", {"inputs": case["text"]})
    assert len(answer) == 1
    assert as_rows(answer[0]) == case["tokens"]


def test_many_texts_at_once_and_nothing_truncated(server):
    answer = server.ask("/tokenize", {"inputs": TEXTS})
    assert [as_rows(tokens) for tokens in answer] == [case["tokens"] for case in CASES]
    assert max(len(tokens) for tokens in answer) > 256


def test_without_special_tokens(server):
    answer = server.ask("/tokenize", {"inputs": TEXTS, "add_special_tokens": False})
    assert [as_rows(tokens) for tokens in answer] == [case["tokens"][1:-1] for case in CASES]


def test_offsets_cut_the_tokens_out_of_the_bytes(server):
    for text, tokens in zip(TEXTS, server.ask("/tokenize", {"inputs": TEXTS}), strict=True):
        data = text.encode()
        for token in tokens[1:-1]:
            assert data[token["start"] : token["stop"]].decode() == token["text"]
