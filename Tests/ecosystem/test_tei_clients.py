"""Clients of text-embeddings-inference and of Hugging Face's inference interface, with their own defaults."""

import pytest
from conftest import TEXTS
from golden import assert_vectors


def test_langchain_huggingface(server, vectors):
    """It takes no address any more, and says so; its client can be replaced by one that has the address."""
    from huggingface_hub import InferenceClient
    from langchain_huggingface import HuggingFaceEndpointEmbeddings

    with pytest.raises(ValueError, match="must be a HuggingFace repo ID, not a URL"):
        HuggingFaceEndpointEmbeddings(model=server.url)
    made = HuggingFaceEndpointEmbeddings()
    made.client = InferenceClient(server.url)
    # It replaces line ends by spaces before it sends a text.
    texts = [text.replace("\n", " ") for text in TEXTS]
    assert_vectors(made.embed_documents(TEXTS), server.ask("/embed", {"inputs": texts}))
    assert_vectors(made.embed_query(TEXTS[0]), vectors[0])


def test_llama_index_text_embeddings_inference(server, vectors):
    from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference

    made = TextEmbeddingsInference(model_name="all-MiniLM-L6-v2", base_url=server.url)
    assert_vectors(made.get_text_embedding_batch(TEXTS), server.ask("/embed", {"inputs": [text.strip() for text in TEXTS]}))
    assert_vectors(made.get_query_embedding(TEXTS[0]), vectors[0])


def test_haystack_huggingface_api(server, vectors):
    from haystack import Document
    from haystack_integrations.components.embedders.huggingface_api import (
        HuggingFaceAPIDocumentEmbedder,
        HuggingFaceAPITextEmbedder,
    )

    # By default it asks for vectors as the model pools them, which do not have length 1.
    pooled = server.ask("/embed", {"inputs": TEXTS, "normalize": False})
    service = {"api_type": "text_embeddings_inference", "api_params": {"url": server.url}, "token": None}
    assert_vectors(HuggingFaceAPITextEmbedder(**service).run(TEXTS[0])["embedding"], pooled[0])
    stored = HuggingFaceAPIDocumentEmbedder(**service).run([Document(content=text) for text in TEXTS])["documents"]
    assert_vectors([each.embedding for each in stored], pooled)
    one = HuggingFaceAPITextEmbedder(**service, normalize=True).run(TEXTS[0])
    assert_vectors(one["embedding"], vectors[0])


def test_chromadb_huggingface_server(server, vectors):
    from chromadb.utils.embedding_functions import HuggingFaceEmbeddingServer

    assert_vectors(HuggingFaceEmbeddingServer(url=f"{server.url}/embed")(TEXTS), vectors)
    assert_vectors(HuggingFaceEmbeddingServer(url=server.url)(TEXTS), vectors)


def test_litellm_huggingface(server, vectors):
    """Without an input_type it asks Hugging Face's hub what the model is for, also where it is given an address."""
    import litellm

    def embed(**options):
        return litellm.embedding(model="huggingface/all-MiniLM-L6-v2", input=TEXTS, api_base=server.url, **options)

    with pytest.raises(litellm.APIConnectionError, match="huggingface.co"):
        embed()
    assert_vectors([each["embedding"] for each in embed(input_type="feature-extraction").data], vectors)
