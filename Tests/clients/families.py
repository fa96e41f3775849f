"""Tiny models with random weights, and what the original libraries made of the same texts with them."""

import base64
import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[1] / "EncoderTests" / "Families" / "sentence-transformers"


def path(name: str) -> str:
    return str(FOLDER / name)


def golden(name: str) -> dict:
    return json.loads((FOLDER / name / "golden.json").read_text())


def vector(text: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text["vector"]), "<f4")


def names(kind: str) -> list[str]:
    """The models of a kind: "embed" or "rerank"."""
    return sorted(each.parent.name for each in FOLDER.glob("*/golden.json") if json.loads(each.read_text())["kind"] == kind)
