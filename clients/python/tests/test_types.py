"""The package compiles, and it and typical calls pass mypy --strict and pyright."""

import importlib.util
import json
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "src" / "nearfar").glob("*.py"))
TYPED, WRONG = ROOT / "tests" / "typed.py", ROOT / "tests" / "typed_wrong.py"
# With the stand-in for PyTorch, the file that uses PyTorch's types cannot be checked.
REAL_TORCH = importlib.util.find_spec("torch") is not None and "stand_in" not in str(importlib.util.find_spec("torch").origin)
CHECKED = [str(file) for file in FILES if REAL_TORCH or file.name != "torch.py"] + [str(TYPED)]


def run(*command):
    # pyright asks the first python on PATH where packages are installed.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    command = [sys.executable, "-m", *command]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment)


def mypy(tmp_path, *files):
    return run("mypy", "--strict", "--cache-dir", str(tmp_path), *files)


def pyright(*files):
    return run("pyright", *files)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_files_compile(file, tmp_path):
    py_compile.compile(str(file), cfile=str(tmp_path / "out.pyc"), doraise=True)


def test_mypy_strict(tmp_path):
    done = mypy(tmp_path, *CHECKED)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pyright():
    done = pyright(*CHECKED)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_public_names_are_typed_throughout():
    done = run("pyright", "--ignoreexternal", "--verifytypes", "nearfar", "--outputjson")
    report = json.loads(done.stdout)["typeCompleteness"]
    # With the stand-in for PyTorch, the types of nearfar.torch are not known.
    loose = [entry["name"] for entry in report["symbols"] if not entry["isTypeKnown"] and (REAL_TORCH or ".torch." not in entry["name"])]
    assert loose == [] and len(report["symbols"]) > 100


def wrong_lines():
    lines = WRONG.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.strip().startswith("client.")}


def test_wrong_calls_are_refused_by_mypy(tmp_path):
    done = mypy(tmp_path, str(WRONG))
    found = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    assert found == wrong_lines(), done.stdout


def test_wrong_calls_are_refused_by_pyright():
    done = run("pyright", "--outputjson", str(WRONG))
    report = json.loads(done.stdout)["generalDiagnostics"]
    assert {entry["range"]["start"]["line"] + 1 for entry in report if entry["severity"] == "error"} == wrong_lines(), done.stdout
