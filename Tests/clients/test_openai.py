"""The openai client for Python, using /v1."""

import base64
import json
from pathlib import Path

import golden
import numpy as np
import openai
import pytest
from golden import BY_TEXT, CASES, TEXTS, assert_vectors
from process import MODEL, Server


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(api_key="unused", base_url=server.url + "/v1", max_retries=0) as made:
        yield made


def test_strings_in_the_clients_default_format(client):
    # The client requests base64 by default, and decodes it.
    answer = client.embeddings.create(model="any-name", input=TEXTS)
    assert_vectors([item.embedding for item in answer.data], golden.VECTORS)
    assert [item.index for item in answer.data] == list(range(len(TEXTS)))
    assert {item.object for item in answer.data} == {"embedding"}
    assert answer.object == "list"
    assert answer.model == "any-name"
    tokens = sum(len(case["ids"]) for case in CASES)
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (tokens, tokens)


def test_one_string_as_floats(client):
    text = "The cat sits on the mat."
    answer = client.embeddings.create(model="m", input=text, encoding_format="float")
    assert len(answer.data) == 1
    assert_vectors(answer.data[0].embedding, BY_TEXT[text])


def test_floats_and_base64_are_the_same_numbers(client):
    texts = ["Hello, world!", "only 🦄"]
    floats = client.embeddings.create(model="m", input=texts, encoding_format="float")
    packed = client.embeddings.create(model="m", input=texts, encoding_format="base64")
    for row, text in zip(floats.data, packed.data, strict=True):
        decoded = np.frombuffer(base64.b64decode(text.embedding), dtype="<f4")
        assert np.array_equal(np.asarray(row.embedding, "f4"), decoded)


def test_token_ids(client):
    case = next(case for case in CASES if case["text"] == "The cat sits on the mat.")
    answer = client.embeddings.create(model="m", input=case["ids"])
    assert len(answer.data) == 1
    assert_vectors(answer.data[0].embedding, BY_TEXT[case["text"]])
    assert answer.usage.prompt_tokens == len(case["ids"])


@pytest.mark.parametrize(
    "tokens, place",
    [
        ([5983, 2003], "input"),
        ([[101, 7592, 102], [5983, 2003]], "input[1]"),
        ([[101, 7592]], "input[0]"),
        ([[7592, 102]], "input[0]"),
        ([[101]], "input[0]"),
        # Larger than any id of this model, as many of OpenAI's are.
        ([[101, 91_234, 102]], "input[0][1]"),
    ],
)
def test_token_ids_of_another_model_are_refused_with_the_cure(client, tokens, place):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="m", input=tokens)
    assert caught.value.param == place
    for named in (place, "check_embedding_ctx_length=False", "--accept-token-ids"):
        assert named in caught.value.message


def test_the_error_names_the_special_tokens(client):
    with pytest.raises(openai.BadRequestError, match=r"begin with \[CLS\] and end with \[SEP\]"):
        client.embeddings.create(model="m", input=[7592])


@pytest.mark.parametrize("how", [("--accept-token-ids",), {"NEARFAR_ACCEPT_TOKEN_IDS": "true"}])
def test_all_token_ids_are_taken_where_the_operator_says_so(server, how):
    """Those without special tokens get them, so that ids of the model's tokenizer alone give the vector of their text."""
    case = next(case for case in CASES if case["text"] == "The cat sits on the mat.")
    flags, environment = (how, None) if isinstance(how, tuple) else ((), how)
    assert server.get("/info").json()["accept_token_ids"] is False
    with Server(*flags, environment=environment) as open_to_all:
        assert open_to_all.get("/info").json()["accept_token_ids"] is True
        with openai.OpenAI(api_key="unused", base_url=open_to_all.url + "/v1", max_retries=0) as client:
            answer = client.embeddings.create(model="m", input=[case["ids"][1:-1], case["ids"]])
            assert_vectors([item.embedding for item in answer.data], np.stack([BY_TEXT[case["text"]]] * 2))
            with pytest.raises(openai.BadRequestError, match="must be a token id from 0 to"):
                client.embeddings.create(model="m", input=[91_234])


def made_model(folder, name, content):
    """A copy of the model with another file; the rest are links."""
    for file in Path(MODEL).iterdir():
        if file.name != name:
            (folder / file.name).symlink_to(file.resolve())
    (folder / name).write_text(json.dumps(content))
    return str(folder)


def test_ids_of_a_tokenizer_that_puts_nothing_around_a_text(tmp_path):
    """Nothing shows whose they are, so that they are taken only where the operator says so."""
    tokenizer = json.loads((Path(MODEL) / "tokenizer.json").read_text())
    model = made_model(tmp_path, "tokenizer.json", {**tokenizer, "post_processor": None})
    for flags in ([], ["--accept-token-ids"]):
        with Server(*flags, model=model) as own:
            response = own.post("/v1/embeddings", {"input": [7592, 2088]})
            if flags:
                expected = own.ask("/embed", {"inputs": "hello world"})
                assert_vectors([response.json()["data"][0]["embedding"]], expected)
            else:
                assert response.status_code == 400
                message = response.json()["error"]["message"]
                assert "this model has no special tokens around a text" in message and "--accept-token-ids" in message


def test_ids_of_a_tokenizer_that_only_ends_a_text(tmp_path):
    tokenizer = json.loads((Path(MODEL) / "tokenizer.json").read_text())
    processor = tokenizer["post_processor"]
    processor = {**processor, "single": processor["single"][1:]}
    with Server(model=made_model(tmp_path, "tokenizer.json", {**tokenizer, "post_processor": processor})) as own:
        answer = own.ask("/v1/embeddings", {"input": [7592, 2088, 102]})
        assert_vectors([answer["data"][0]["embedding"]], own.ask("/embed", {"inputs": "hello world"}))
        response = own.post("/v1/embeddings", {"input": [101, 7592, 2088]})
        assert response.status_code == 400 and "this model's end with [SEP]." in response.json()["error"]["message"]
        ids = [*range(2000, 2000 + golden.LIMIT), 102]
        answer = own.ask("/v1/embeddings", {"input": ids})
        assert answer["usage"]["prompt_tokens"] == golden.LIMIT
        cut = own.ask("/embed", {"inputs": [[*ids[: golden.LIMIT - 1], 102]]})
        assert_vectors([answer["data"][0]["embedding"]], cut)


def test_token_ids_that_are_too_long_keep_their_special_tokens(client, server):
    """As with a long text, what is cut off is text."""
    ids = [101, *range(2000, 2000 + golden.LIMIT), 102]
    answer = client.embeddings.create(model="m", input=ids)
    assert answer.usage.prompt_tokens == golden.LIMIT
    cut = [*ids[: golden.LIMIT - 1], 102]
    assert_vectors(answer.data[0].embedding, server.ask("/embed", {"inputs": [cut]})[0])


def test_lists_of_token_ids(client):
    chosen = [case for case in CASES if 2 < len(case["ids"]) < 40]
    answer = client.embeddings.create(model="m", input=[case["ids"] for case in chosen])
    assert_vectors([item.embedding for item in answer.data], np.stack([BY_TEXT[case["text"]] for case in chosen]))


def test_dimensions(client):
    answer = client.embeddings.create(model="m", input=TEXTS[:8], dimensions=64)
    rows = np.array([item.embedding for item in answer.data])
    assert_vectors(rows, golden.reduced(golden.VECTORS[:8], 64))
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_models(client):
    models = client.models.list().data
    assert [model.object for model in models] == ["model"]
    assert models[0].id == "all-MiniLM-L6-v2"
    assert isinstance(models[0].created, int)
    assert models[0].owned_by


@pytest.mark.parametrize(
    "field, body",
    [
        ("input", {"input": []}),
        ("input", {"input": 5}),
        ("input", {"input": [1.5]}),
        ("input", {"input": [True]}),
        ("input", {"input": ["a", 1]}),
        ("input", {"input": [[101, 30522, 102]]}),
        ("input", {"input": [-1]}),
        ("input", {}),
        ("dimensions", {"input": "a", "dimensions": 0}),
        ("dimensions", {"input": "a", "dimensions": 385}),
        ("encoding_format", {"input": "a", "encoding_format": "hex"}),
    ],
)
def test_invalid_requests_are_400_in_openais_shape(client, field, body):
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/embeddings", body={"model": "m", **body}, cast_to=object)
    error = caught.value.response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith(field)
    # The client shows only the message, which therefore must name the parameter.
    assert error["message"].startswith(f"Invalid '{error['param']}': ")
    assert error["param"] in str(caught.value)


def test_empty_input_through_the_method(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="m", input=[])
    assert caught.value.status_code == 400
    assert caught.value.param == "input"


def test_fields_of_later_versions_are_ignored(client):
    text = "Hello, world!"
    answer = client.embeddings.create(model="m", input=text, user="u", extra_body={"not_yet_invented": {"a": [1]}})
    assert_vectors(answer.data[0].embedding, BY_TEXT[text])


def test_an_unknown_path_has_openais_shape(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.post("/nothing", body={}, cast_to=object)
    assert set(caught.value.response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "path, named",
    [
        ("", "/v1/embeddings"),
        ("/openai/v1", "/v1/embeddings"),
        ("/v1/v1", "/v1/embeddings"),
        ("/v1/embeddings", "/v1/embeddings"),
    ],
)
def test_a_wrong_base_url_says_what_is_right(server, path, named):
    wrong = openai.OpenAI(base_url=server.url + path + "/x" * (path == ""), api_key="none", max_retries=0)
    with pytest.raises(openai.NotFoundError) as caught:
        wrong.embeddings.create(model="m", input="a")
    assert named in caught.value.message
    assert set(caught.value.response.json()["error"]) == {"message", "type", "param", "code"}


def test_a_base_url_without_v1(server):
    client = openai.OpenAI(base_url=server.url, api_key="none", max_retries=0)
    answer = client.embeddings.create(model="m", input="Hello, world!", encoding_format="float")
    assert_vectors(answer.data[0].embedding, BY_TEXT["Hello, world!"])
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.list()
    assert "there is no route /models; this service has /v1/models" in caught.value.message
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "a"}])
    assert "/v1/embeddings and /v1/models" in caught.value.message


def test_a_wrong_method_has_openais_shape(server):
    response = server.get("/v1/embeddings")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_broken_json_has_openais_shape(server):
    response = server.request(
        "POST", "/v1/embeddings", data=b'{"input": ', headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
