"""Clients of OpenAI's interface, with their own defaults: the address and a key are all that they are given."""

import warnings
from pathlib import Path

import openai
import pytest
from conftest import TEXTS
from golden import assert_vectors, decode, reduced


def test_openai(server, vectors):
    # The major version before that of Tests/clients.
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused")
    answer = client.embeddings.create(model="text-embedding-3-small", input=TEXTS)
    assert_vectors([each.embedding for each in answer.data], vectors)


@pytest.fixture
def openai_vocabulary(monkeypatch):
    """tiktoken finds the vocabulary of OpenAI's embedding models in the copy that llama-index-core brings, without a network."""
    import llama_index.core

    folder = Path(llama_index.core.__file__).parent / "_static" / "tiktoken_cache"
    assert folder.is_dir()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))


def langchain(server, **options):
    from langchain_openai import OpenAIEmbeddings

    return OpenAIEmbeddings(base_url=f"{server.url}/v1", api_key="unused", **options)


@pytest.mark.parametrize("model", [{}, {"model": "all-MiniLM-L6-v2"}])
def test_langchain_openai_is_told_what_to_change(server, openai_vocabulary, model):
    """It sends the token ids of OpenAI's vocabulary by default, which would give vectors of other words."""
    with pytest.raises(openai.BadRequestError) as caught:
        langchain(server, **model).embed_query("The cat sits on the mat.")
    assert "check_embedding_ctx_length=False" in str(caught.value)
    assert "input[0]" in str(caught.value)


def test_langchain_openai_as_it_was_told(server, vectors):
    made = langchain(server, check_embedding_ctx_length=False)
    assert_vectors(made.embed_documents(TEXTS), vectors)
    assert_vectors(made.embed_query(TEXTS[0]), vectors[0])


def test_llama_index_openai(server, vectors):
    from llama_index.embeddings.openai import OpenAIEmbedding

    made = OpenAIEmbedding(api_base=f"{server.url}/v1", api_key="unused")
    # It replaces line ends by spaces before it sends a text.
    texts = [text.replace("\n", " ") for text in TEXTS]
    assert_vectors(made.get_text_embedding_batch(TEXTS), server.ask("/embed", {"inputs": texts}))
    assert_vectors(made.get_query_embedding(TEXTS[0]), vectors[0])


def test_llama_index_openai_with_the_models_name(server, vectors):
    from llama_index.embeddings.openai import OpenAIEmbedding

    with pytest.raises(ValueError, match="all-MiniLM-L6-v2"):
        OpenAIEmbedding(model="all-MiniLM-L6-v2", api_base=f"{server.url}/v1", api_key="unused")
    made = OpenAIEmbedding(model_name="all-MiniLM-L6-v2", api_base=f"{server.url}/v1", api_key="unused")
    assert_vectors(made.get_text_embedding(TEXTS[0]), vectors[0])


def test_haystack_openai(server, vectors):
    from haystack import Document
    from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
    from haystack.utils import Secret

    service = {"api_base_url": f"{server.url}/v1", "api_key": Secret.from_token("unused")}
    assert_vectors(OpenAITextEmbedder(**service).run(TEXTS[0])["embedding"], vectors[0])
    stored = OpenAIDocumentEmbedder(**service).run([Document(content=text) for text in TEXTS])["documents"]
    assert_vectors([each.embedding for each in stored], vectors)


@pytest.mark.parametrize("name", ["openai/all-MiniLM-L6-v2", "hosted_vllm/all-MiniLM-L6-v2", "openai/text-embedding-3-small"])
def test_litellm_openai(server, vectors, name):
    import litellm

    answer = litellm.embedding(model=name, input=TEXTS, api_base=f"{server.url}/v1", api_key="unused")
    assert_vectors([each["embedding"] for each in answer.data], vectors)


def test_chromadb_openai(server, vectors):
    from chromadb.utils.embedding_functions import OpenAIEmbeddingFunction

    with warnings.catch_warnings():
        # It wants the key in the environment.
        warnings.simplefilter("ignore", DeprecationWarning)
        made = OpenAIEmbeddingFunction(api_base=f"{server.url}/v1", api_key="unused")
    assert_vectors(made(TEXTS), vectors)


# What clients of these services send to a path that OpenAI's clients use as well. Fields that OpenAI does not have are ignored.
SHAPES = {
    "voyage": {"input": TEXTS, "model": "voyage-3.5", "input_type": "query", "truncation": True, "output_dimension": 256},
    "jina": {
        "input": TEXTS, "model": "jina-embeddings-v3", "task": "retrieval.query", "late_chunking": False, "normalized": True,
        "embedding_type": "base64",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_requests_of_voyage_and_jina(server, vectors, name):
    answer = server.ask("/v1/embeddings", SHAPES[name])
    assert_vectors([each["embedding"] for each in answer["data"]], vectors)


def test_jinas_dimensions_and_objects(server, vectors):
    answer = server.ask("/v1/embeddings", {**SHAPES["jina"], "dimensions": 64})
    assert_vectors([each["embedding"] for each in answer["data"]], reduced(vectors, 64))
    response = server.post("/v1/embeddings", {**SHAPES["jina"], "input": [{"text": "a"}]})
    assert response.status_code == 400 and response.json()["error"]["param"] == "input[0]"


def test_voyages_base64(server, vectors):
    answer = server.ask("/v1/embeddings", {"input": TEXTS, "model": "voyage-3.5", "encoding_format": "base64"})
    assert_vectors([decode(each["embedding"]) for each in answer["data"]], vectors)
