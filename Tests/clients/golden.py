"""The golden answers of fixtures/, and comparisons within the tolerances that the interface promises."""

import base64
import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent / "fixtures"
EMBEDDINGS = json.loads((FOLDER / "embeddings.json").read_text())
LOSSES = json.loads((FOLDER / "losses.json").read_text())
CASES = EMBEDDINGS["cases"]
TEXTS = [case["text"] for case in CASES]
DIM = EMBEDDINGS["dim"]
LIMIT = EMBEDDINGS["max_seq_length"]


def decode(text: str) -> np.ndarray:
    """Decodes a base64 row of little-endian f32."""
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")


VECTORS = np.stack([decode(case["vector"]) for case in CASES])
BY_TEXT = {case["text"]: row for case, row in zip(CASES, VECTORS, strict=True)}


def assert_vectors(found, expected) -> None:
    """Each row must have a cosine of at least 0.99999 with the expected one, and no value may differ by more than 1e-4."""
    found = np.asarray(found, dtype="f8")
    expected = np.asarray(expected, dtype="f8")
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    cosines = (found * expected).sum(-1) / (np.linalg.norm(found, axis=-1) * np.linalg.norm(expected, axis=-1))
    assert cosines.min() >= 0.99999, f"row {cosines.argmin()} has cosine {cosines.min()}"
    difference = np.abs(found - expected)
    assert difference.max() <= 1e-4, (
        f"largest difference {difference.max()} at {np.unravel_index(difference.argmax(), difference.shape)}"
    )


def assert_loss(found, expected, temperature: float) -> None:
    """Each value must be within 1e-5 + 1e-6/τ of float64, relative above 1 and absolute below."""
    found, expected = np.atleast_1d(np.asarray(found, "f8")), np.atleast_1d(np.asarray(expected, "f8"))
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    error = np.abs(found - expected) / np.maximum(np.abs(expected), 1)
    assert error.max() <= 1e-5 + 1e-6 / temperature, f"row {error.argmax()}: {found} beside {expected}"


def reduced(rows: np.ndarray, dimensions: int) -> np.ndarray:
    """The first `dimensions` values of each row, normalised again."""
    rows = np.asarray(rows, "f8")[..., :dimensions]
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
