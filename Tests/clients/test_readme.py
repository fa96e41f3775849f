"""The README's first screen: each curl gives the answer that is printed below it."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from process import Server

README = Path(__file__).resolve().parents[2] / "README.md"


def examples():
    blocks = re.findall(r"```console\n(.*?)```", README.read_text(), re.DOTALL)
    return [pair for block in blocks for pair in re.findall(r"\$ (curl .*)\n(.+)\n", block)]


def close(found, printed):
    """Equal but for the last digits, which differ from processor to processor."""
    if isinstance(printed, dict):
        return found.keys() == printed.keys() and all(close(found[key], printed[key]) for key in printed)
    if isinstance(printed, list):
        return len(found) == len(printed) and all(map(close, found, printed))
    if isinstance(printed, float):
        return found == pytest.approx(printed, rel=1e-3, abs=1e-5)
    return found == printed


def test_every_curl_gives_its_printed_answer():
    commands = examples()
    assert len(commands) >= 4
    with Server() as server:
        for command, printed in commands:
            real = command.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
            done = subprocess.run(["bash", "-c", real], capture_output=True, text=True, timeout=30, check=True)
            assert close(json.loads(done.stdout), json.loads(printed)), f"{command}\n{done.stdout}"
