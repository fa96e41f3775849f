"""`nearfar check`: what it prints and how it ends."""

import os
import random
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
    assert "c: 1 point, version 1, dot, no graph: sound" in printed.splitlines()
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


def check_within(folder: str, memory: int) -> tuple[int, list[str]]:
    """Runs a check in an address space of `memory` bytes; returns its exit status and the lines it printed."""
    run = subprocess.run(
        [BINARY, "check", "--data", folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory)),
    )
    return run.returncode, run.stdout.splitlines()


def test_missing_memory_is_not_damage(tmp_path):
    folder = str(tmp_path)
    with Server("--data", folder, "--max-dim", "65536") as server:
        server.put("/collections/wide", {"dim": 65536, "metric": "dot"})
        server.put("/collections/wide/points", {"points": [{"id": "a", "vector": [1.0] * 65536}]})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    # Rows are stored in blocks of 1,024, which have 256 MiB here.
    code, lines = check_within(folder, 240 << 20)
    assert code == 3, lines
    assert (
        "wide: 1 point, version 1, dot, no graph: not checked: collection 'wide' cannot be loaded: "
        "there is not enough memory"
    ) in lines
    assert "default: 0 points, version 0, cosine, no graph: sound" in lines
    assert "damaged" not in "".join(lines)
    code, printed = run_to_the_end("check", "--data", folder)
    assert code == 0, printed
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_graph_that_cannot_be_mapped_is_not_damaged(tmp_path):
    folder = str(tmp_path)
    generator = random.Random(1)
    points = [{"id": f"{n}", "vector": [generator.gauss(0, 1) for _ in range(8)]} for n in range(10_000)]
    with Server("--data", folder) as server:
        server.put("/collections/c", {"dim": 8})
        server.put("/collections/c/points", {"points": points})
    (graph,) = tmp_path.glob("graph-*.safetensors")
    # The file is extended so far that a process with a limited address space cannot map it.
    os.truncate(graph, 1 << 40)
    code, lines = check_within(folder, 8 << 30)
    assert code == 0, lines
    assert any(f"{graph} cannot be read (Cannot allocate memory): building the graph anew" in line for line in lines)
    assert any(line.startswith("c: 10000 points, version 1") and line.endswith("built anew: sound") for line in lines)
    code, printed = run_to_the_end("check", "--data", folder)
    assert code == 1
    assert f"{graph} is damaged (" in printed
