"""Several models in one process: requests choose one by name, and collections are bound to one."""

import os
from pathlib import Path

import families
import numpy as np
import openai
import pytest
from problems import problem
from process import MODEL, Server

OTHER = "modernbert-cls"


@pytest.fixture(scope="module")
def both():
    flags = ["--model", f"english={MODEL}", "--model", f"tiny={families.path(OTHER)}", "--embedding-cache-mb", "4"]
    with Server(*flags, model=None) as running:
        yield running


def test_a_request_chooses_a_model(both, server):
    text = families.golden(OTHER)["texts"][1]
    expected = {"english": server.ask("/embed", {"inputs": text["text"]}), "tiny": [families.vector(text).tolist()]}
    for name, rows in expected.items():
        found = both.ask("/embed", {"inputs": text["text"], "model": name})
        assert np.allclose(found, rows, atol=1e-5)
        answer = both.ask("/v1/embeddings", {"input": text["text"], "model": name})
        assert answer["model"] == name and np.allclose(answer["data"][0]["embedding"], rows[0], atol=1e-5)
    # The first where none is named.
    assert both.ask("/embed", {"inputs": text["text"]}) == both.ask("/embed", {"inputs": text["text"], "model": "english"})
    tokens = both.ask("/tokenize", {"inputs": text["text"], "model": "tiny"})[0]
    assert [token["id"] for token in tokens] == text["ids"]
    pair = {"source_sentence": "a", "sentences": ["b"]}
    scores = [both.ask("/similarity", {"inputs": pair, "model": name})[0] for name in expected]
    assert scores[0] != scores[1]
    losses = [both.ask("/loss", {"queries": ["a", "b"], "keys": ["c", "d"], "model": name})["loss"] for name in expected]
    assert losses[0] != losses[1]


def test_models_are_listed(both):
    client = openai.OpenAI(base_url=f"{both.url}/v1", api_key="none")
    assert [model.id for model in client.models.list()] == ["english", "tiny"]
    assert client.models.retrieve("tiny").id == "tiny"
    assert client.embeddings.create(model="tiny", input="a").data[0].embedding != client.embeddings.create(model="english", input="a").data[0].embedding
    with pytest.raises(openai.NotFoundError, match="there are: english, tiny"):
        client.embeddings.create(model="text-embedding-3-small", input="a")
    info = both.get("/info").json()
    assert [model["name"] for model in info["models"]] == ["english", "tiny"]
    assert info["model"]["name"] == info["model_id"] == "english"


def test_ollamas_list_has_the_sizes_of_the_files(both):
    for path in ("/api/tags", "/api/ps"):
        listed = both.get(path).json()["models"]
        assert [(each["name"], each["size"]) for each in listed] == [
            (f"{name}:latest", os.path.getsize(f"{folder}/model.safetensors")) for name, folder in (("english", MODEL), ("tiny", families.path(OTHER)))
        ]
    # Weights in several files, and those of a module behind the pooling.
    folder = Path(families.path("bert-cls-dense-bf16-sharded"))
    files = list(folder.rglob("*.safetensors"))
    assert len(files) == 4
    with Server(model=str(folder)) as own:
        assert own.get("/api/tags").json()["models"][0]["size"] == sum(file.stat().st_size for file in files)


@pytest.mark.parametrize("path, body", [("/embed", {"inputs": "a"}), ("/tokenize", {"inputs": "a"}), ("/loss", {"queries": ["a"], "keys": ["b"]}), ("/neighbors", {"inputs": "a"})])
def test_an_unknown_model_is_404(both, path, body):
    assert "english, tiny" in problem(both.post(path, {**body, "model": "nope"}), 404, "model")["detail"]


def test_with_one_model_any_name_means_it(server):
    rows = server.ask("/embed", {"inputs": "a", "model": "whatever"})
    assert rows == server.ask("/embed", {"inputs": "a"})


def test_a_collection_is_bound_to_the_model_of_its_first_text(both):
    dimension = families.golden(OTHER)["dimension"]
    assert both.put("/collections/small", {"dim": dimension}).status_code == 201
    point = {"points": [{"id": "a", "text": "a train"}]}
    problem(both.put("/collections/small/points", point), 422, "points[0].text")
    assert both.put("/collections/small/points", {**point, "model": "tiny"}).status_code == 200
    assert both.get("/collections/small").json()["model_name"] == "tiny"
    # From now on its model need not be named.
    assert both.put("/collections/small/points", {"points": [{"id": "b", "text": "a loaf"}]}).status_code == 200
    (hits,) = both.ask("/neighbors", {"collection": "small", "inputs": "a loaf", "k": 1})["results"]
    assert hits[0]["id"] == "b" and hits[0]["score"] > 0.999999
    problem(both.put("/collections/small/points", {**point, "model": "english"}), 409, "points[0].text")
    problem(both.post("/neighbors", {"collection": "small", "inputs": "a", "model": "english"}), 409, "inputs")
    both.delete("/collections/small")


def test_one_folder_may_have_several_names():
    folder = families.path(OTHER)
    with Server("--model", f"a={folder}", "--model", f"b={folder}", model=None) as own:
        for model in ("b", "a", "b"):
            answer = own.put("/collections/default/points", {"model": model, "points": [{"id": model, "text": "a train"}]})
            assert answer.status_code == 200, answer.text
        assert own.post("/neighbors", {"inputs": "a train", "model": "b"}).status_code == 200


def test_each_model_has_vectors_of_its_own_in_the_cache(both):
    bodies = [{"inputs": "the same text", "model": name} for name in ("english", "tiny")]
    first = [both.ask("/embed", body) for body in bodies]
    assert first[0] != first[1]
    assert [both.ask("/embed", body) for body in bodies] == first
