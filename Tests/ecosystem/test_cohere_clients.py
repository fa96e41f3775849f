"""Clients of Cohere's interface, with their own defaults."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cohere
import numpy as np
import pytest
from conftest import TEXTS
from golden import assert_vectors, decode, reduced
from process import MODEL, Server

MODEL_NAME = "embed-v4.0"


@pytest.fixture(scope="module")
def client(server):
    return cohere.ClientV2(api_key="unused", base_url=server.url)


@pytest.mark.parametrize("input_type", ["search_document", "search_query", "classification", "clustering"])
def test_embed(client, vectors, input_type):
    """The model has no prompts, so that the type of input makes no difference."""
    answer = client.embed(model=MODEL_NAME, texts=TEXTS, input_type=input_type, embedding_types=["float"])
    assert_vectors(answer.embeddings.float_, vectors)
    assert answer.response_type == "embeddings_by_type"
    assert answer.texts == TEXTS
    assert answer.meta.api_version.version == "2"
    assert answer.meta.billed_units.input_tokens > len(TEXTS)
    assert answer.id


def test_the_type_of_input_chooses_the_models_prompt(tmp_path):
    """Where a model's folder has prompts for queries and for what is searched."""
    for file in Path(MODEL).iterdir():
        if file.name != "config_sentence_transformers.json":
            (tmp_path / file.name).symlink_to(file.resolve())
    prompts = {"query": "query: ", "passage": "passage: "}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    with Server(model=str(tmp_path)) as own:
        client = cohere.ClientV2(api_key="unused", base_url=own.url)
        for input_type, prompt in [("search_query", "query: "), ("search_document", "passage: "), ("clustering", "")]:
            answer = client.embed(model=MODEL_NAME, texts=TEXTS, input_type=input_type, embedding_types=["float"])
            assert_vectors(answer.embeddings.float_, own.ask("/embed", {"inputs": [prompt + text for text in TEXTS]}))
            assert answer.texts == TEXTS


def test_all_types(client, vectors):
    answer = client.embed(
        model=MODEL_NAME, texts=TEXTS, input_type="search_document", embedding_types=["float", "base64", "binary", "ubinary"]
    ).embeddings
    assert_vectors(answer.float_, vectors)
    rows = np.array(answer.float_, "f4")
    assert all(np.array_equal(decode(text), row) for text, row in zip(answer.base64, rows, strict=True))
    packed = np.packbits(rows > 0, axis=1)
    assert np.array_equal(answer.ubinary, packed)
    assert np.array_equal(answer.binary, packed.astype(int) - 128)
    assert answer.int8 is None and answer.uint8 is None


def test_bits_of_a_length_that_is_no_multiple_of_eight(client, vectors):
    answer = client.embed(
        model=MODEL_NAME, texts=TEXTS, input_type="clustering", embedding_types=["ubinary", "float"], output_dimension=13
    ).embeddings
    assert_vectors(answer.float_, reduced(vectors, 13))
    assert np.array_equal(answer.ubinary, np.packbits(np.array(answer.float_) > 0, axis=1))


def test_without_types_there_are_floats(client, vectors):
    answer = client.embed(model=MODEL_NAME, texts=TEXTS, input_type="search_document")
    assert_vectors(answer.embeddings.float_, vectors)


def test_inputs(client, vectors):
    inputs = [{"content": [{"type": "text", "text": text}]} for text in TEXTS]
    answer = client.embed(model=MODEL_NAME, inputs=inputs, input_type="search_document", embedding_types=["float"])
    assert_vectors(answer.embeddings.float_, vectors)
    assert answer.texts == TEXTS


def test_truncation(client, server):
    long = " ".join(f"word{index}" for index in range(400))
    for name, direction in [("END", "right"), ("START", "left")]:
        answer = client.embed(model=MODEL_NAME, texts=[long], input_type="clustering", embedding_types=["float"], truncate=name)
        assert_vectors(answer.embeddings.float_, server.ask("/embed", {"inputs": [long], "truncation_direction": direction}))
    with pytest.raises(cohere.BadRequestError) as caught:
        client.embed(model=MODEL_NAME, texts=["a", long], input_type="clustering", embedding_types=["float"], truncate="NONE")
    assert caught.value.body["message"].startswith("Invalid 'texts[1]': has more tokens than max_seq_length")


@pytest.mark.parametrize(
    "wrong, named",
    [
        ({"embedding_types": ["int8"]}, "int8 and uint8 need ranges"),
        ({"embedding_types": ["uint8", "float"]}, "int8 and uint8 need ranges"),
        ({"embedding_types": ["f16"]}, "'f16' is unknown"),
        ({"embedding_types": []}, "embedding_types"),
        ({"input_type": "image"}, "input_type"),
        ({"images": ["data:image/png;base64,AA=="]}, "images"),
        ({"texts": []}, "texts"),
        ({"texts": None}, "texts"),
        ({"output_dimension": 385}, "output_dimension"),
        ({"truncate": "MIDDLE"}, "truncate"),
        ({"max_tokens": 255}, "max_tokens"),
        ({"inputs": [{"content": [{"type": "text", "text": "a"}]}]}, "inputs"),
        ({"texts": None, "inputs": [{"content": []}]}, "inputs[0].content"),
        ({"texts": None, "inputs": [{"content": [{"type": "text", "text": "a"}] * 2}]}, "inputs[0].content"),
        ({"texts": None, "inputs": [{"content": [{"type": "image_url", "image_url": {}}]}]}, "inputs[0].content[0].type"),
        ({"texts": None, "inputs": [{"content": [{"type": "text"}]}]}, "inputs[0].content[0].text"),
    ],
)
def test_errors_have_coheres_shape(server, wrong, named):
    body = {"model": MODEL_NAME, "texts": ["a"], "input_type": "search_query", **wrong}
    response = server.post("/v2/embed", {name: value for name, value in body.items() if value is not None})
    assert response.status_code == 400
    assert set(response.json()) == {"message"} and named in response.json()["message"]


def test_the_client_before(server, vectors):
    """It sends at most 96 texts at once, and puts the answers together."""
    before = cohere.Client(api_key="unused", base_url=server.url)
    answer = before.embed(model=MODEL_NAME, texts=TEXTS * 25, input_type="search_document")
    assert answer.response_type == "embeddings_floats"
    assert_vectors(answer.embeddings, vectors * 25)
    typed = before.embed(model=MODEL_NAME, texts=TEXTS, input_type="search_query", embedding_types=["float", "ubinary"])
    assert typed.response_type == "embeddings_by_type"
    assert_vectors(typed.embeddings.float_, vectors)


def test_rerank(server):
    """The client's first interface calls /v1/rerank, which is Jina's here; both answer in the fields that it reads."""
    query, documents = "When does the first train leave?", ["It is closed.", "The first train to the coast leaves at six."]
    expected = [(entry["index"], entry["score"]) for entry in server.ask("/rerank", {"query": query, "texts": documents})]
    for kind in (cohere.ClientV2, cohere.Client):
        client = kind(api_key="unused", base_url=server.url)
        answer = client.rerank(model="rerank-v3.5", query=query, documents=documents)
        assert [(entry.index, entry.relevance_score) for entry in answer.results] == expected
        (best,) = client.rerank(model="rerank-v3.5", query=query, documents=documents, top_n=1).results
        assert (best.index, best.relevance_score) == expected[0]


def test_other_routes_say_what_there_is(client):
    with pytest.raises(cohere.NotFoundError) as caught:
        client.v2.chat(model="command", messages=[{"role": "user", "content": "a"}])
    assert "/v2/embed" in caught.value.body["message"]


CHROMA = """
import json, sys
from chromadb.utils.embedding_functions import CohereEmbeddingFunction
print(json.dumps([row.tolist() for row in CohereEmbeddingFunction()(json.load(sys.stdin))]))
"""


def test_chromadb(server, vectors):
    """It has no setting for the address. Cohere's client reads it from the environment when it is imported."""
    environment = {**os.environ, "CO_API_URL": server.url, "COHERE_API_KEY": "unused"}
    command = [sys.executable, "-W", "ignore", "-c", CHROMA]
    done = subprocess.run(command, input=json.dumps(TEXTS), capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert_vectors(json.loads(done.stdout), vectors)


def test_litellm(server, vectors):
    import litellm

    answer = litellm.embedding(
        model=f"cohere/{MODEL_NAME}", input=TEXTS, api_base=f"{server.url}/v2/embed", api_key="unused", input_type="search_document"
    )
    assert_vectors([each["embedding"] for each in answer.data], vectors)
