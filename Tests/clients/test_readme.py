"""README and docs/use-it-from.md: each example prints what is shown with it, and the restore steps work."""

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from process import BINARY, Server, clean_environment

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
USE_IT_FROM = ROOT / "docs" / "use-it-from.md"


def blocks(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


def curls(path):
    return [pair for block in blocks(path, "console") for pair in re.findall(r"\$ (curl .*)\n(.+)\n", block)]


def close(found, printed):
    """Whether values are equal except for the last digits, which depend on the processor."""
    if isinstance(printed, dict):
        return found.keys() == printed.keys() and all(close(found[key], printed[key]) for key in printed)
    if isinstance(printed, list):
        return len(found) == len(printed) and all(map(close, found, printed))
    if isinstance(printed, float):
        return found == pytest.approx(printed, rel=1e-3, abs=1e-5)
    return found == printed


@pytest.mark.parametrize("path, least", [(README, 4), (USE_IT_FROM, 2)], ids=lambda value: getattr(value, "name", None))
def test_every_curl_gives_its_printed_answer(path, least):
    commands = curls(path)
    assert len(commands) >= least
    with Server() as server:
        for command, printed in commands:
            real = command.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
            done = subprocess.run(["bash", "-c", real], capture_output=True, text=True, timeout=30, check=True)
            assert close(json.loads(done.stdout), json.loads(printed)), f"{command}\n{done.stdout}"


# ALWAYS are packages of requirements.txt. The frameworks are large, so their examples run only where they are installed, as they are for
# Tests/ecosystem.
ALWAYS = {"requests", "openai", "huggingface_hub"}
FRAMEWORKS = {"langchain_openai", "llama_index", "haystack", "ollama", "cohere"}


def python_examples():
    """The examples by page and module, without those for frameworks that are not installed."""
    found = {}
    for path in (README, USE_IT_FROM):
        for block in blocks(path, "python"):
            module = re.search(r"^(?:from|import) (\w+)", block, re.MULTILINE)[1]
            found[f"{path.stem}-{module}"] = (module, block)
    return found


EXAMPLES = python_examples()
RUN = [name for name, (module, _) in EXAMPLES.items() if module in ALWAYS or importlib.util.find_spec(module) is not None]


def test_every_program_has_its_example():
    assert {module for module, _ in EXAMPLES.values()} == ALWAYS | FRAMEWORKS
    assert {EXAMPLES[name][0] for name in RUN} >= ALWAYS


@pytest.mark.parametrize("name", RUN)
def test_every_python_example_prints_what_its_comments_say(server, name):
    _, block = EXAMPLES[name]
    real = block.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
    assert real != block
    environment = clean_environment({"NO_PROXY": "*", "HAYSTACK_TELEMETRY_ENABLED": "False"})
    done = subprocess.run([sys.executable, "-c", real], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = re.findall(r"print\(.*\)  # (.*)", block)
    assert len(expected) == block.count("print(")
    assert done.stdout.splitlines() == expected


def test_a_backup_is_restored_by_the_steps_of_the_readme(tmp_path):
    steps = [line for block in blocks(README, "sh") for line in block.splitlines() if "backup" in line or "restored" in line]
    backup, *restore, serve = steps
    assert [line.split()[:2] for line in steps] == [
        ["nearfar", "backup"], ["mkdir", "restored"], ["cp", "backup.sqlite"], ["nearfar", "check"], ["nearfar", "serve"],
    ]  # fmt: skip

    def do(line):
        command = f"cd {shlex.quote(str(tmp_path))}; nearfar() {{ {shlex.quote(BINARY)} \"$@\"; }}; {line}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, env=clean_environment())
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    points = [{"id": f"p{index}", "text": f"text {index}", "metadata": {"index": index}} for index in range(20)]
    flags = shlex.split(serve)[2:]
    with Server("--data", str(tmp_path / "data")) as server:
        assert server.put("/collections/default/points", {"points": points}).status_code == 200
        do(backup)
        kept = server.get("/collections/default/points").json()
        answer = server.ask("/neighbors", {"inputs": "text 7", "k": 5})
        # This point is written after the backup, so that the restored folder must lack it.
        assert server.put("/collections/default/points", {"points": [{"id": "late", "text": "late"}]}).status_code == 200
    for line in restore:
        do(line)
    assert flags == ["--data", "restored"]
    for more in ([], ["--low-memory"]):
        with Server("--data", str(tmp_path / "restored"), *more) as server:
            assert server.get("/collections/default/points").json() == kept
            assert server.ask("/neighbors", {"inputs": "text 7", "k": 5}) == answer
