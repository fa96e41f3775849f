"""What a precision costs: how far its vectors are from those in f32, and how many nearest neighbours it loses."""

from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 10
QUERIES = 1_000


@dataclass(frozen=True)
class Quality:
    lowest: float
    mean: float
    # None where it was not asked for.
    recall: float | None


def cosines(vectors: np.ndarray, reference: np.ndarray) -> np.ndarray:
    ours, theirs = vectors.astype("f8"), reference.astype("f8")
    return np.einsum("ij,ij->i", ours, theirs) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)


def neighbours(vectors: np.ndarray) -> np.ndarray:
    """The ten nearest of all others to each of the first rows, by the dot product, exactly."""
    count = min(QUERIES, len(vectors))
    scores = vectors[:count] @ vectors.T
    # A text is not its own neighbour.
    scores[np.arange(count), np.arange(count)] = -np.inf
    return np.argpartition(-scores, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]


def recall(found: np.ndarray, expected: np.ndarray) -> float:
    shared = sum(len(set(ours) & set(theirs)) for ours, theirs in zip(found.tolist(), expected.tolist()))
    return shared / expected.size


class Judge:
    """Compares with the vectors of ONNX Runtime in f32; retrieval among the texts is judged only `with_recall`."""

    def __init__(self, reference: np.ndarray, with_recall: bool) -> None:
        self.reference = reference
        self.expected = neighbours(reference) if with_recall and len(reference) > NEIGHBOURS + 1 else None

    def quality(self, vectors: np.ndarray) -> Quality:
        if vectors.shape != self.reference.shape:
            raise SystemExit(f"{vectors.shape} vectors instead of {self.reference.shape}")
        found = cosines(vectors, self.reference)
        part = None if self.expected is None else recall(neighbours(vectors), self.expected)
        return Quality(float(found.min()), float(found.mean()), part)
