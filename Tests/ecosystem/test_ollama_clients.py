"""Clients of Ollama's interface, with their own defaults."""

import asyncio
import json
import subprocess

import ollama
import pytest
from conftest import TEXTS
from golden import assert_vectors, reduced


@pytest.fixture(scope="module")
def client(server):
    return ollama.Client(host=server.url)


def test_embed(client, vectors):
    answer = client.embed(model="all-minilm", input=TEXTS)
    assert_vectors(answer.embeddings, vectors)
    assert answer.model == "all-minilm"
    assert answer.prompt_eval_count > len(TEXTS) and answer.total_duration > 0 and answer.load_duration == 0
    assert_vectors(client.embed(model="all-minilm", input=TEXTS[0]).embeddings, vectors[:1])


def test_embed_with_all_options(client, vectors):
    answer = client.embed(
        "all-minilm", TEXTS[:2], truncate=True, options={"num_ctx": 4096, "temperature": 0}, keep_alive="5m", dimensions=64
    )
    assert_vectors(answer.embeddings, reduced(vectors[:2], 64))
    assert_vectors(client.embed("all-minilm", TEXTS[:2], dimensions=0).embeddings, vectors[:2])


def test_embed_asynchronously(server, vectors):
    answer = asyncio.run(ollama.AsyncClient(host=server.url).embed(model="all-minilm", input=TEXTS))
    assert_vectors(answer.embeddings, vectors)


@pytest.mark.parametrize("nothing", ["", []])
def test_a_request_without_a_text_has_no_rows(client, nothing):
    assert client.embed("all-minilm", nothing).embeddings == []


def test_embeddings(client, vectors):
    """The model's folder says that its vectors have length 1."""
    assert_vectors(client.embeddings(model="all-minilm", prompt=TEXTS[0]).embedding, vectors[0])
    assert client.embeddings(model="all-minilm", prompt="").embedding == []


def test_errors_are_shown(client):
    with pytest.raises(ollama.ResponseError, match=r"Invalid 'input\[0\]': has more tokens than max_seq_length") as caught:
        client.embed("all-minilm", [TEXTS[4]], truncate=False)
    assert caught.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="Invalid 'dimensions'") as caught:
        client.embed("all-minilm", TEXTS, dimensions=385)
    with pytest.raises(ollama.ResponseError, match="/api/embed") as caught:
        client.chat("all-minilm", [{"role": "user", "content": "a"}])
    assert caught.value.status_code == 404


@pytest.mark.parametrize("path", ["/v1", "/api"])
def test_a_host_with_a_path_is_told_so(server, path):
    with pytest.raises(ollama.ResponseError, match="the host of Ollama's clients has no path"):
        ollama.Client(host=server.url + path).embed("all-minilm", "a")


def test_what_there_is(client, server):
    (listed,) = client.list().models
    assert listed.model == "all-MiniLM-L6-v2:latest"
    assert listed.digest == server.get("/info").json()["model"]["fingerprint"]
    assert (listed.details.format, listed.details.quantization_level) == ("safetensors", "F32")
    assert listed.modified_at.year >= 2024
    (loaded,) = client.ps().models
    assert (loaded.model, loaded.context_length) == (listed.model, 256)
    shown = client.show(listed.model)
    assert shown.capabilities == ["embedding"]
    architecture = shown.modelinfo["general.architecture"]
    assert shown.modelinfo[f"{architecture}.embedding_length"] == 384
    assert shown.modelinfo[f"{architecture}.context_length"] == 256
    assert server.get("/api/version").json() == {"version": server.get("/info").json()["version"]}
    assert server.request("HEAD", "/").status_code == 200


def test_show_needs_a_model(server):
    response = server.post("/api/show", {})
    assert (response.status_code, response.json()) == (400, {"error": "Invalid 'model': is required"})


def test_curl_as_ollamas_documentation_calls_it(server, vectors):
    """Without a Content-Type, so that curl says it were a form."""
    body = json.dumps({"model": "all-minilm", "input": TEXTS[0]})
    command = ["curl", "-s", "--noproxy", "*", f"{server.url}/api/embed", "-d", body]
    answer = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    assert_vectors(json.loads(answer)["embeddings"], vectors[:1])


def test_another_web_page_cannot_send_a_form(server):
    """A browser sends one without asking first, but with the page's origin."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://example.com"}
    response = server.request("POST", "/api/embed", data=b'{"input": "a"}', headers=headers)
    assert response.status_code == 403 and set(response.json()) == {"error"}


@pytest.mark.parametrize("url", ["{}", "{}/api/embeddings"])
def test_chromadb(server, vectors, url):
    from chromadb.utils.embedding_functions import OllamaEmbeddingFunction

    assert_vectors(OllamaEmbeddingFunction(url=url.format(server.url))(TEXTS), vectors)


def test_litellm(server, vectors):
    import litellm

    answer = litellm.embedding(model="ollama/all-minilm", input=TEXTS, api_base=server.url)
    assert_vectors([each["embedding"] for each in answer.data], vectors)


def test_a_client_of_openais_that_was_given_ollamas_path(server):
    response = server.post("/api/embeddings", {"input": "a"})
    assert response.status_code == 400
    assert "/v1/embeddings" in response.json()["error"]
