"""`nearfar check`: what it prints and how it ends."""

import resource
import subprocess

import pytest
from process import BINARY, Server, run_to_the_end


@pytest.mark.parametrize("flags", [(), ("--data", ""), ("--data", ":memory:")])
def test_a_folder_must_be_named(flags):
    code, printed = run_to_the_end("check", *flags)
    assert code == 2
    assert "--data" in printed


def test_a_folder_that_is_not_there_is_refused_and_not_made(tmp_path):
    code, printed = run_to_the_end("check", "--data", f"{tmp_path}/none")
    assert code == 1
    assert f"{tmp_path}/none" in printed
    assert not (tmp_path / "none").exists()


def test_a_folder_in_use_and_then_not(tmp_path):
    folder = str(tmp_path)
    with Server("--data", folder) as server:
        server.put("/collections/c", {"dim": 2, "metric": "dot"})
        server.put("/collections/c/points", {"points": [{"id": "a", "vector": [1, 2]}]})
        code, printed = run_to_the_end("check", "--data", folder)
        assert code == 1
        assert f"{folder}/lock" in printed
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code, printed = run_to_the_end("check", "--data", folder)
    assert code == 0, printed
    assert "c: 1 points, version 1, dot, no graph: sound" in printed.splitlines()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_damaged_point_is_named(tmp_path):
    folder = str(tmp_path)
    with Server("--data", folder) as server:
        server.put("/collections/c", {"dim": 2, "metric": "dot"})
        server.put("/collections/c/points", {"points": [{"id": "a", "vector": [1, 2], "text": "a text to damage"}]})
    path = tmp_path / "nearfar.sqlite"
    path.write_bytes(path.read_bytes().replace(b"a text to damage", b"a text is damage"))
    code, printed = run_to_the_end("check", "--data", folder)
    assert code == 1
    assert f"{path} is damaged: collection 'c', point 'a' is not as it was written" in printed


def test_missing_memory_is_not_damage(tmp_path):
    folder = str(tmp_path)
    with Server("--data", folder, "--max-dim", "65536") as server:
        server.put("/collections/wide", {"dim": 65536, "metric": "dot"})
        server.put("/collections/wide/points", {"points": [{"id": "a", "vector": [1.0] * 65536}]})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    # Rows come in blocks of 1,024, which here are 256 MiB.
    limit = 240 << 20
    run = subprocess.run(
        [BINARY, "check", "--data", folder],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert run.returncode == 3, run.stdout + run.stderr
    assert (
        "wide: 1 points, version 1, dot, no graph: not checked: collection 'wide' cannot be loaded: "
        "there is not enough memory"
    ) in run.stdout.splitlines()
    assert "default: 0 points, version 0, cosine, no graph: sound" in run.stdout.splitlines()
    assert "damaged" not in run.stdout + run.stderr
    code, printed = run_to_the_end("check", "--data", folder)
    assert code == 0, printed
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
