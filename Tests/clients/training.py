"""A tiny encoder to train, and pairs of texts that it can learn to tell apart."""

import json
import os
import random
import subprocess
from pathlib import Path

import numpy as np
from process import BINARY, clean_environment

MODEL = Path(__file__).resolve().parents[1] / "EncoderTests" / "Families" / "bert"
THINGS = ["bread", "cat", "day", "door", "hill", "lamp", "river", "wind"]
KINDS = ["far", "green", "near", "old", "red", "wet"]
PLACES = ["by", "in", "of", "to", "under"]


def pairs(count: int, seed: int = 1) -> list[dict]:
    """A query has the words of its positive in another order, and other small words."""
    generator = random.Random(seed)
    made = []
    for _ in range(count):
        things, kinds = generator.sample(THINGS, 2), generator.sample(KINDS, 2)
        query = f"a {kinds[0]} {things[0]} {generator.choice(PLACES)} the {kinds[1]} {things[1]}"
        made.append({"query": query, "positive": f"this {things[1]} {kinds[1]} {things[0]} {kinds[0]}"})
    return made


def write_lines(path: Path, lines: list[dict]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def write_data(folder: Path) -> Path:
    """Writes pairs to train on, and held-out ones."""
    write_lines(folder / "pairs.jsonl", pairs(240))
    write_lines(folder / "held.jsonl", pairs(40, seed=2))
    return folder


def command(*arguments) -> list[str]:
    return [BINARY, "train", *map(str, arguments)]


def train(*arguments, folder: Path, timeout: float = 300, before=None) -> subprocess.CompletedProcess:
    """Runs `nearfar train` in a folder and waits for its end."""
    return subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, text=True, timeout=timeout, env=clean_environment({}),
        preexec_fn=before)


def metrics(folder: Path) -> tuple[list[dict], list[dict]]:
    """The lines of the steps, and those of the evaluations."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line], [line for line in lines if "evaluation" in line]


def tensors(folder: Path) -> dict[str, np.ndarray]:
    content = (folder / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    assert header.pop("__metadata__") == {"format": "pt"}
    return {
        name: np.frombuffer(content[start:], "<f4", offset=entry["data_offsets"][0], count=int(np.prod(entry["shape"]))).reshape(entry["shape"])
        for name, entry in header.items() if entry["dtype"] == "F32"
    }


def contents(folder: Path) -> dict[str, bytes]:
    """The files whose bytes depend on nothing but the call."""
    return {name: (folder / name).read_bytes() for name in ("model.safetensors", "metrics.jsonl")}


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))
