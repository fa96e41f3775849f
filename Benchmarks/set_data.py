"""The sets of sets.py: rows and fresh queries of many shapes, made from fixed seeds and kept under .build.

Each set is hard for an index in its own way, which its docstring names. Where vectors are close together, codes with a fixed step
do not tell them apart; where vectors repeat, lists of neighbours fill with copies; where queries are distributed differently from
the rows, a pool size chosen on the rows is too small.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import index_data
import numpy

QUERIES = 2_000
FASHION = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Set:
    name: str
    metric: str
    make: Callable[[numpy.random.Generator], tuple[numpy.ndarray, numpy.ndarray]]

    def file(self) -> Path:
        """The set as a safetensors file: `vectors`, in random order, and `queries`."""
        path = index_data.FOLDER / f"set-{self.name}.safetensors"
        if not path.exists():
            rows, queries = self.make(numpy.random.default_rng(sum(self.name.encode())))
            index_data.write(path, rows, queries)
        return path


def normal(random, *shape) -> numpy.ndarray:
    return random.standard_normal(shape, dtype="f4")


def split(rows: numpy.ndarray, random) -> tuple[numpy.ndarray, numpy.ndarray]:
    rows = rows[random.permutation(len(rows))]
    return rows[QUERIES:], rows[:QUERIES]


def clusters(count: int, dimension: int, centres: int, spread: float):
    """Centres standard normal in every coordinate, rows = centre + spread · standard normal."""

    def make(random):
        middle = normal(random, centres, dimension)
        home = random.integers(centres, size=count + QUERIES)
        return split(middle[home] + numpy.float32(spread) * normal(random, count + QUERIES, dimension), random)

    return make


def cone(count: int, dimension: int, cosine: float):
    """One common vector plus noise, so that two rows have this cosine on average, as the vectors of many encoders do."""

    def make(random):
        common = normal(random, dimension)
        common /= numpy.linalg.norm(common)
        noise = normal(random, count + QUERIES, dimension) / numpy.sqrt(numpy.float32(dimension))
        return split(common + numpy.float32(numpy.sqrt(1 / cosine - 1)) * noise, random)

    return make


def gaussian(count: int, dimension: int):
    return lambda random: split(normal(random, count + QUERIES, dimension), random)


def uniform(count: int, dimension: int):
    return lambda random: split(random.random((count + QUERIES, dimension), dtype="f4"), random)


def zipf(count: int, dimension: int, centres: int):
    """Clusters whose sizes follow Zipf's law: the largest holds a seventh of all, the smallest a handful."""

    def make(random):
        weight = 1 / numpy.arange(1, centres + 1)
        home = random.choice(centres, size=count + QUERIES, p=weight / weight.sum())
        middle, spread = normal(random, centres, dimension), random.uniform(0.05, 0.5, centres).astype("f4")
        return split(middle[home] + spread[home, None] * normal(random, count + QUERIES, dimension), random)

    return make


def duplicates(count: int, dimension: int):
    """A fifth of the rows are copies of few others: half of these exact, half with noise of 1e-4 per value."""

    def make(random):
        rows = low_rank(count + QUERIES, dimension, 24, random)
        copied = random.choice(len(rows), size=len(rows) // 5, replace=False)
        # The row that is copied most occurs a thousand times or more.
        source = (random.pareto(0.7, len(copied)) * 3).astype("i8") % (count // 50)
        rows[copied] = rows[source]
        near = copied[::2]
        rows[near] += 1e-4 * normal(random, len(near), dimension)
        return split(rows, random)

    return make


def low_rank(count: int, dimension: int, rank: int, random) -> numpy.ndarray:
    basis = normal(random, rank, dimension) / numpy.sqrt(numpy.float32(rank))
    decay = (1 / numpy.sqrt(numpy.arange(1, rank + 1))).astype("f4")
    return (normal(random, count, rank) * decay) @ basis + 0.01 * normal(random, count, dimension)


def intrinsic(count: int, dimension: int, rank: int):
    """A smooth, curved surface of few dimensions in a space of many."""

    def make(random):
        inner = normal(random, count + QUERIES, rank)
        first = normal(random, rank, 64) / numpy.sqrt(numpy.float32(rank))
        second = normal(random, 64, dimension) / 8
        return split(numpy.tanh(inner @ first) @ second + 0.002 * normal(random, count + QUERIES, dimension), random)

    return make


def norms(count: int, dimension: int):
    """Norms with a heavy tail: under the inner product, few long rows are the neighbours of many queries."""

    def make(random):
        rows = low_rank(count + QUERIES, dimension, 48, random)
        rows /= numpy.linalg.norm(rows, axis=1, keepdims=True)
        length = numpy.minimum(1 + random.pareto(3.0, len(rows)), 40).astype("f4")
        return split(rows * length[:, None], random)

    return make


def foreign(count: int, dimension: int):
    """Queries from another distribution than the rows, like vectors of texts searched among vectors of images."""

    def make(random):
        rows = low_rank(count, dimension, 64, random)
        shift = normal(random, dimension) * 0.5
        queries = low_rank(QUERIES, dimension, 64, random)
        # A mixture of a row and a vector of another subspace, with a common offset.
        mixed = rows[random.integers(count, size=QUERIES)] * 0.7 + 0.7 * queries + shift
        return rows, mixed.astype("f4")

    return make


def two_levels(count: int, dimension: int, groups: int, per_group: int):
    """Many tight clusters inside few wide ones: more clusters than an index can have reference points."""

    def make(random):
        wide = normal(random, groups, dimension)
        tight = wide.repeat(per_group, 0) + 0.3 * normal(random, groups * per_group, dimension)
        home = random.integers(len(tight), size=count + QUERIES)
        return split(tight[home] + 0.02 * normal(random, count + QUERIES, dimension), random)

    return make


def fashion(random):
    """60,000 pictures of 784 grey values, and 2,000 of the 10,000 that were held out."""

    def images(name: str) -> numpy.ndarray:
        found = sorted(FASHION.rglob(f"{name}*.gz"))
        if not found:
            raise SystemExit("the Debian package dataset-fashion-mnist is missing: scripts/deps.sh bench")
        with gzip.open(found[0]) as file:
            return numpy.frombuffer(file.read(), "u1", offset=16).reshape(-1, 784).astype("f4")

    return images("train-images"), images("t10k-images")[:QUERIES]


SETS = [
    Set("uniform-16", "euclidean", uniform(200_000, 16)),
    Set("clusters-32", "cosine", clusters(20_000, 32, 200, 0.35)),
    Set("clusters-64", "euclidean", clusters(40_000, 64, 50, 0.3)),
    Set("tight-64", "euclidean", clusters(40_000, 64, 50, 0.1)),
    Set("nested-96", "euclidean", two_levels(100_000, 96, 50, 100)),
    Set("zipf-96", "euclidean", zipf(100_000, 96, 1_000)),
    Set("clusters-128", "cosine", clusters(30_000, 128, 300, 0.2)),
    Set("duplicates-128", "cosine", duplicates(50_000, 128)),
    Set("norms-128", "dot", norms(50_000, 128)),
    Set("foreign-200", "cosine", foreign(50_000, 200)),
    Set("clusters-384", "cosine", clusters(30_000, 384, 100, 0.5)),
    Set("gaussian-384", "cosine", gaussian(20_000, 384)),
    Set("cone80-384", "cosine", cone(20_000, 384, 0.80)),
    Set("cone94-384", "cosine", cone(20_000, 384, 0.94)),
    Set("clusters-768", "euclidean", clusters(20_000, 768, 100, 0.3)),
    Set("surface-768", "cosine", intrinsic(50_000, 768, 12)),
    Set("fashion-784", "euclidean", fashion),
    Set("wide-1024", "cosine", lambda random: split(low_rank(10_000 + QUERIES, 1024, 96, random), random)),
]
