"""Models of all families, as a service: the vectors of sentence-transformers, prompts, and what is refused at the start."""

import hashlib
import json
import shutil
import subprocess

import families
import numpy as np
import pytest
from problems import problem
from process import BINARY, MODEL, Server, clean_environment


@pytest.mark.parametrize("name", families.names("embed"))
def test_vectors_are_those_of_the_original_library(name):
    golden = families.golden(name)
    with Server(model=families.path(name)) as own:
        info = own.get("/info").json()["model"]
        assert info["dim"] == golden["dimension"]
        prompts = {text: key for key, text in info["prompts"].items()}
        standing = info["default_prompt"]
        for text in golden["texts"]:
            expected = families.vector(text)
            body = {"inputs": text["text"], "normalize": info["normalize"]}
            if (text["prompt"] or "") != standing:
                if not text["prompt"]:
                    # A request cannot ask for no prompt where one stands for all.
                    continue
                body["prompt_name"] = prompts[text["prompt"]]
            if not text["ids"] and info["normalize"]:
                problem(own.post("/embed", body), 422, "inputs[0]")
                continue
            (row,) = own.ask("/embed", body)
            assert np.abs(np.array(row) - expected).max() <= 2e-5 * max(1, np.abs(expected).max()), text["text"]


@pytest.fixture(scope="module")
def table():
    """An encoder without a transformer and without special tokens: a text of spaces has no tokens, and no vector to normalise."""
    with Server(model=families.path("static-model2vec")) as running:
        yield running


@pytest.mark.parametrize(
    "path, body, field",
    [
        ("/embed", {"inputs": ["a", " "]}, "inputs[1]"),
        ("/embed", {"inputs": ["a"] * 7 + [" "] + ["a"] * 1100}, "inputs[7]"),
        ("/neighbors", {"inputs": ["a", "b", " "]}, "inputs[2]"),
        ("/loss", {"queries": ["a", "b"], "keys": ["a", " "]}, "keys[1]"),
        ("/loss", {"queries": [" ", "b"], "keys": ["a", "b"]}, "queries[0]"),
        ("/loss", {"queries": ["a", "b"], "keys": ["a", "b"], "negatives": ["a", "b", " "]}, "negatives[2]"),
    ],
)
def test_a_text_without_tokens_is_named_by_its_field(table, path, body, field):
    assert "no tokens" in problem(table.post(path, body), 422, field)["detail"]


def test_a_text_without_tokens_is_named_as_other_services_do(table):
    answer = table.post("/v1/embeddings", {"input": ["a", " "]})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "input[1]"
    for path, body, field, key in [
        ("/api/embed", {"input": ["a", " "]}, "input[1]", "error"),
        ("/api/embeddings", {"prompt": " "}, "prompt", "error"),
        ("/v2/embed", {"texts": ["a", " "]}, "texts[1]", "message"),
        ("/v2/embed", {"inputs": [{"content": [{"type": "text", "text": " "}]}]}, "inputs[0]", "message"),
    ]:
        answer = table.post(path, body)
        assert answer.status_code == 400 and answer.json()[key].startswith(f"Invalid '{field}': the text has no tokens"), answer.text
    # Nothing has to be normalised.
    assert table.ask("/embed", {"inputs": " ", "normalize": False}) == [[0] * 32]
    dimension = table.get("/info").json()["model"]["dim"]
    assert table.put("/collections/blank", {"dim": dimension}).status_code == 201
    points = [{"id": "a", "vector": [1] * dimension}, {"id": "b", "text": " "}]
    problem(table.put("/collections/blank/points", {"points": points}), 422, "points[1].text")


def test_an_encoder_without_a_transformer_has_no_special_tokens(table):
    """Its tokenizer.json has a template with [CLS] and [SEP], which Sentence Transformers does not apply to it."""
    text = next(each for each in families.golden("static-model2vec")["texts"] if len(each["ids"]) > 5)
    ids = text["ids"]
    for more in ({}, {"add_special_tokens": True}, {"add_special_tokens": False}):
        (tokens,) = table.ask("/tokenize", {"inputs": text["text"], **more})
        assert [token["id"] for token in tokens] == ids and not any(token["special"] for token in tokens)
    # Nothing shows whose ids they are, least of all tokens that the model does not take.
    for given in (ids, [2, *ids, 3]):
        error = table.post("/v1/embeddings", {"input": given}).json()["error"]
        assert "this model has no special tokens around a text" in error["message"]
    with Server("--accept-token-ids", model=families.path("static-model2vec")) as own:
        rows = [own.ask("/v1/embeddings", {"input": each})["data"][0]["embedding"] for each in (text["text"], ids, [2, *ids, 3])]
    assert rows[0] == rows[1] != rows[2]
    assert np.abs(np.array(rows[0]) - families.vector(text)).max() < 2e-5


def test_a_length_that_a_static_encoders_tokenizer_states_is_the_models():
    with Server(model=families.path("static-truncated")) as own:
        assert own.get("/info").json()["model"]["max_seq_length"] == 7
        text = families.golden("static-truncated")["texts"][2]
        problem(own.post("/embed", {"inputs": text["text"], "truncate": False}), 422, "inputs[0]")
        # Token ids are cut at the same end, and the request's own choice counts for both.
        (tokens,) = own.ask("/tokenize", {"inputs": text["text"]})
        ids = [token["id"] for token in tokens]
        assert ids[-7:] == text["ids"] != ids[:7]
        for side, kept in ((None, ids[-7:]), ("Left", ids[-7:]), ("Right", ids[:7])):
            more = {"truncation_direction": side} if side else {}
            rows = own.ask("/embed", {"inputs": [ids, kept], **more})
            assert rows[0] == rows[1] == own.ask("/embed", {"inputs": text["text"], **more})[0]


ROLES = "bert-mean"
QUERY, DOCUMENT = "query: ", "passage: "


def folder_without_default(tmp_path, **changes):
    """The model of ROLES, whose prompts are changed; it has no prompt that stands for all requests."""
    made = tmp_path / "roles"
    shutil.copytree(families.path(ROLES), made)
    settings = {"prompts": {"query": QUERY, "document": DOCUMENT}, **changes}
    (made / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return str(made)


@pytest.fixture(scope="module")
def roles(tmp_path_factory):
    with Server(model=folder_without_default(tmp_path_factory.mktemp("model"))) as running:
        yield running


def test_input_type_puts_the_prompt_of_the_role_before_texts(roles):
    text = "When does the first train leave?"
    expected = {None: text, "query": QUERY + text, "document": DOCUMENT + text, "search_query": QUERY + text, "passage": DOCUMENT + text}
    rows = [roles.ask("/embed", {"inputs": text, "input_type": kind})[0] for kind in expected]
    assert rows == roles.ask("/embed", {"inputs": list(expected.values())})
    assert len({tuple(row) for row in rows}) == 3
    answer = roles.ask("/v1/embeddings", {"input": text, "input_type": "document"})
    assert np.abs(np.array(answer["data"][0]["embedding"]) - np.array(rows[2])).max() < 1e-6
    assert roles.get("/info").json()["model"]["input_types"] == {"query": QUERY, "document": DOCUMENT}
    loss = {"queries": [text, "b"], "keys": ["c", "d"]}
    with_prompt = {"queries": [QUERY + text, QUERY + "b"], "keys": [QUERY + "c", QUERY + "d"]}
    assert roles.ask("/loss", {**loss, "input_type": "query"})["loss"] == roles.ask("/loss", with_prompt)["loss"]


def test_input_type_is_checked(roles):
    problem(roles.post("/embed", {"inputs": "a", "input_type": "picture"}), 422, "input_type")
    problem(roles.post("/embed", {"inputs": "a", "input_type": "query", "prompt_name": "query"}), 422, "input_type")
    problem(roles.post("/embed", {"inputs": [7, 8], "input_type": "query"}), 422, "input_type")
    answer = roles.post("/v1/embeddings", {"input": "a", "input_type": "picture"})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "input_type"
    # Token ids are taken as they are, whatever prompt stands for texts.
    assert len(roles.ask("/embed", {"inputs": [2, 7, 3]})) == 1


def test_collections_use_the_prompts_of_queries_and_documents_and_remember_them(tmp_path):
    data = str(tmp_path / "data")
    texts = {"a": "The first train to the coast leaves at six.", "b": "No trains today.", "c": "Bread is baked at night."}
    question = "When does the first train leave?"
    model = folder_without_default(tmp_path)
    with Server("--data", data, model=model) as own:
        points = [{"id": id, "text": text} for id, text in texts.items()]
        assert own.put("/collections/default/points", {"points": points}).status_code == 200
        described = own.get("/collections/default").json()
        assert described["prompts"] == {"query": QUERY, "document": DOCUMENT}
        assert described["model_name"] == "roles"
        stored = own.get("/collections/default/points/a").json()["vector"]
        (document,) = own.ask("/embed", {"inputs": texts["a"], "input_type": "document"})
        assert np.abs(np.array(stored) - np.array(document)).max() < 1e-6
        (query,) = own.ask("/embed", {"inputs": question, "input_type": "query"})
        by_vector = own.ask("/neighbors", {"vectors": [query]})["results"]
        by_text = own.ask("/neighbors", {"inputs": question})["results"]
        assert [hit["id"] for hit in by_text[0]] == [hit["id"] for hit in by_vector[0]]
        assert np.allclose([hit["score"] for hit in by_text[0]], [hit["score"] for hit in by_vector[0]], atol=1e-6)
        as_document = own.ask("/neighbors", {"inputs": texts["b"], "input_type": "document", "k": 1})["results"]
        assert as_document[0][0]["id"] == "b" and as_document[0][0]["score"] > 0.999999
        fingerprint = described["model"]
        known = own.get("/info").json()["model"]["fingerprint"]
        assert fingerprint == hashlib.sha256(f"{known}\n{QUERY}\n{DOCUMENT}".encode()).hexdigest()
    # With other prompts, new texts could not be compared with those that are there.
    (tmp_path / "other").mkdir()
    other = folder_without_default(tmp_path / "other", prompts={"query": "q: ", "document": "d: "})
    with Server("--data", data, model=other) as own:
        problem(own.post("/neighbors", {"inputs": question}), 409, "inputs")
        assert own.get("/collections/default").json()["model"] == fingerprint
    # A collection whose texts were embedded without prompts stays so.
    (tmp_path / "bare").mkdir()
    bare = folder_without_default(tmp_path / "bare", prompts={})
    kept = str(tmp_path / "kept")
    with Server("--data", kept, model=bare) as own:
        assert own.put("/collections/default/points", {"points": points}).status_code == 200
    with Server("--data", kept, model=model) as own:
        assert own.get("/collections/default").json()["prompts"] == {"query": "", "document": ""}
        (hits,) = own.ask("/neighbors", {"inputs": texts["c"], "k": 1})["results"]
        assert hits[0]["id"] == "c" and hits[0]["score"] > 0.999999


def test_a_model_with_a_prompt_for_queries_alone_uses_it_in_collections(tmp_path):
    text = "The first train to the coast leaves at six."
    with Server(model=folder_without_default(tmp_path, prompts={"query": QUERY, "document": ""})) as own:
        assert own.put("/collections/default/points", {"points": [{"id": "a", "text": text}]}).status_code == 200
        assert own.get("/collections/default").json()["prompts"] == {"query": QUERY, "document": ""}
        (query,) = own.ask("/embed", {"inputs": text, "input_type": "query"})
        by_vector = own.ask("/neighbors", {"vectors": [query]})["results"][0][0]["score"]
        assert abs(own.ask("/neighbors", {"inputs": text})["results"][0][0]["score"] - by_vector) < 1e-6 and by_vector < 0.9999


def test_the_default_prompt_stands_before_texts_that_ask_for_none(tmp_path):
    model = folder_without_default(tmp_path)
    with Server("--default-prompt", "query", model=model) as own:
        assert own.get("/info").json()["model"]["default_prompt"] == QUERY
        bare, asked = (own.ask("/embed", {"inputs": "a", **more})[0] for more in ({}, {"input_type": "query"}))
        assert bare == asked
        (document,) = own.ask("/embed", {"inputs": "a", "input_type": "document"})
        assert bare != document
    # The folder's own default, of the model as it was made.
    with Server(model=families.path(ROLES)) as own:
        assert own.ask("/embed", {"inputs": "a"}) == own.ask("/embed", {"inputs": "a", "prompt_name": "document"})


def test_max_seq_length_lowers_the_models(tmp_path):
    long = "train " * 60
    with Server("--max-seq-length", "12", model=folder_without_default(tmp_path)) as own:
        info = own.get("/info").json()
        assert info["model"]["max_seq_length"] == info["max_input_length"] == info["limits"]["max_seq_length"] == 12
        usage = own.ask("/v1/embeddings", {"input": long})["usage"]
        assert usage["prompt_tokens"] == 12
        problem(own.post("/embed", {"inputs": long, "truncate": False}), 422, "inputs[0]")


def refusal(*flags: str) -> str:
    done = subprocess.run(
        [BINARY, "serve", "--port", "0", *flags], capture_output=True, text=True, timeout=60, env=clean_environment(), check=False
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_what_cannot_be_served_is_refused_at_the_start(tmp_path):
    roles = folder_without_default(tmp_path)
    assert "--max-seq-length: 129 is more than the model takes, which is 128" in refusal("--model", roles, "--max-seq-length", "129")
    assert "--default-prompt: the model has no prompt 'nope'; it has: document, query" in refusal("--model", roles, "--default-prompt", "nope")
    assert "config.json: architectures" in refusal("--model", roles, "--reranker", roles)
    # A folder that has no name is called by the last part of its path.
    assert "several models need names of their own" in refusal("--model", MODEL, "--model", f"{MODEL.rsplit('/', 1)[-1]}={roles}")
    assert "is missing" in refusal("--model", f"a={roles}", "--model", "b=/nowhere")
    dense = tmp_path / "dense"
    shutil.copytree(families.path("bert-cls-dense-bf16-sharded"), dense)
    settings = dense / "2_Dense" / "config.json"
    settings.write_text(settings.read_text().replace('"bias"', '"use_residual": true, "bias"'))
    assert "2_Dense/config.json: use_residual" in refusal("--model", str(dense))
    cased = tmp_path / "cased"
    shutil.copytree(families.path("roberta-sqrt-f16"), cased)
    lengths = cased / "sentence_bert_config.json"
    lengths.write_text(lengths.read_text().replace('"do_lower_case": false', '"do_lower_case": true'))
    assert "sentence_bert_config.json: do_lower_case" in refusal("--model", str(cased))
    for changes, named in [
        ({"prompts": {"query": 7}}, "config_sentence_transformers.json: prompts.query"),
        ({"default_prompt_name": "nope"}, "config_sentence_transformers.json: default_prompt_name"),
        ({"similarity_fn_name": "hamming"}, "config_sentence_transformers.json: similarity_fn_name"),
    ]:
        parent = tmp_path / named.rsplit(".", 1)[-1].replace(":", "").replace(" ", "")
        parent.mkdir()
        assert named in refusal("--model", folder_without_default(parent, **changes))
