"""The service behaves as openapi.yaml states, tested with requests and with a client that are generated from it."""

import importlib
import os
import pathlib
import subprocess
import sys
import tempfile

import families
import pytest
from process import ROOT, Server

HERE = pathlib.Path(__file__).parent
SPECIFICATION = ROOT / "openapi.yaml"


def run(*command, cwd):
    # The tools are found next to this Python.
    environment = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


KEYS = {"full": "full-0123456789abcdef", "reader": "read-0123456789abcdef"}


@pytest.mark.parametrize("key", [None, "full", "reader", "missing"])
def test_every_request_made_of_the_specification_is_answered_as_it_states(key, tmp_path):
    """Valid and invalid requests to every operation get the statuses, types, headers and bodies that are documented.

    key: the name of the API key that is sent, or "missing" when none is; None for a service without keys.
    """
    flags = ["--max-body-bytes", "4000000", "--reranker", families.path("rerank-bert")]
    if key is not None:
        file = tmp_path / "keys"
        file.write_text(f"full:{KEYS['full']}\nreader:{KEYS['reader']} read\n")
        file.chmod(0o600)
        flags += ["--api-key-file", str(file)]
    with Server(*flags) as own, tempfile.TemporaryDirectory() as folder:
        headers = {"Authorization": f"Bearer {KEYS['full']}"}
        assert own.put("/collections/notes", {"dim": 2}, headers=headers).status_code == 201
        assert own.put("/queues/q", {"capacity": 8, "dim": 2}, headers=headers).status_code == 201
        arguments = ["--checks", "all", "--phases", "examples,coverage,fuzzing", "--max-examples", "30"]
        arguments += ["--generation-deterministic", "--no-color", "--warnings", "off"]
        if key in KEYS:
            arguments += ["--header", f"Authorization: Bearer {KEYS[key]}"]
        if key in ("reader", "missing"):
            # Valid requests are refused, as they should be.
            arguments += ["--exclude-checks", "positive_data_acceptance"]
        found = run(
            "schemathesis",
            "--config-file",
            str(HERE / "schemathesis.toml"),
            "run",
            f"{own.url}/openapi.yaml",
            *arguments,
            cwd=folder,
        )
        assert own.process.poll() is None, own.errors()[-2000:]
    # Requests may be megabytes long, so only the start of each entry is shown, which states the finding.
    entries = [entry[:1000] for entry in found.stdout.split("\n____")[1:]]
    assert found.returncode == 0, "\n____".join(entries) + found.stdout[-2000:] + found.stderr[-2000:]
    assert "No issues found" in found.stdout, found.stdout[-2000:]


@pytest.fixture(scope="module")
def generated():
    """Imports a client that `openapi-python-client` generates."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--path", str(SPECIFICATION), "--output-path", f"{folder}/made", "--meta", "none"]
        arguments += ["--config", str(HERE / "openapi-python-client.yaml")]
        made = run("openapi-python-client", "generate", *arguments, cwd=folder)
        assert made.returncode == 0, made.stdout + made.stderr
        # The generator does not know safetensors and leaves such bodies out. It must have no other warnings.
        warnings = made.stdout.split("\nWARNING ")[1:]
        assert all("ontent type application/x-safetensors" in warning for warning in warnings), made.stdout
        sys.path.insert(0, folder)
        try:
            yield lambda name: importlib.import_module(f"made.{name}")
        finally:
            sys.path.remove(folder)
            for name in [name for name in sys.modules if name.split(".")[0] == "made"]:
                del sys.modules[name]


def test_a_generated_client_runs_the_three_jobs(server, name, generated):
    client = generated("client").Client(base_url=server.url, raise_on_unexpected_status=True)
    models = generated("models")

    embedded = generated("api.embedding.embed").sync(client=client, body=models.EmbedRequest(inputs=["a cat", "a kitten"]))
    assert [len(row) for row in embedded] == [384, 384]

    request = models.LossRequest.from_dict({"queries": [[1, 0], [0, 1]], "keys": [[1, 0], [0, 1]], "temperature": 1})
    scored = generated("api.scoring.loss").sync(client=client, body=request)
    assert scored.loss == pytest.approx(0.31326168, abs=1e-6)

    made = generated("api.retrieval.create_collection").sync(
        name, client=client, body=models.CollectionRequest.from_dict({"dim": 2, "metric": "cosine"})
    )
    assert (made.dim, made.count) == (2, 0)
    points = [{"id": "a", "vector": [1, 0], "metadata": {"lang": "de"}}, {"id": "b", "vector": [0, 1]}]
    stored = generated("api.retrieval.upsert_points").sync(
        name, client=client, body=models.PointsRequest.from_dict({"points": points})
    )
    assert (stored.version, stored.upserted) == (1, 2)
    query = models.NeighborsRequest.from_dict({"collection": name, "vectors": [[2, 1]], "k": 2})
    answer = generated("api.retrieval.neighbors").sync(client=client, body=query)
    assert [[each.id for each in each_query] for each_query in answer.results] == [["a", "b"]]
    listed = generated("api.retrieval.list_points").sync(name, client=client, limit=1)
    assert ([point.id for point in listed.points], listed.next_after) == (["a"], "a")
