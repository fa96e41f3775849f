"""The vectors of index.py: WordNet's glosses embedded by the service's own encoder, and synthetic clusters. Each is
made once and kept under .build.
"""

import json
import sys
from pathlib import Path

import glosses
import numpy
import tensor_file

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".build" / "index-data"
QUERIES = 2_000


def write(path: Path, vectors: numpy.ndarray, queries: numpy.ndarray) -> None:
    tensors = {"vectors": vectors.astype("<f4"), "queries": queries.astype("<f4")}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        file.write(tensor_file.head(tensors))
        for array in tensors.values():
            array.tofile(file)
    part.rename(path)


def read(path: Path) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Returns the vectors and the queries of a file."""
    data = numpy.memmap(path, dtype="u1", mode="r")
    length = int(data[:8].view("<u8")[0])
    header = json.loads(bytes(data[8 : 8 + length]))
    found = []
    for name in ["vectors", "queries"]:
        start, stop = header[name]["data_offsets"]
        found.append(data[8 + length + start : 8 + length + stop].view("<f4").reshape(header[name]["shape"]))
    return numpy.array(found[0]), numpy.array(found[1])


def wordnet(binary: Path, model: Path, threads: int) -> Path:
    """115,659 glosses, and 2,000 others as queries, embedded by MiniLM; making them takes some minutes."""
    path = FOLDER / "wordnet.safetensors"
    if path.exists():
        return path
    from http_side import HttpSide

    texts = glosses.all_of_them()
    print(f"embedding {len(texts):,} glosses", file=sys.stderr)
    command = [str(binary), "serve", "--port", "0", "--model", str(model), "--threads", str(threads)]
    server = HttpSide(command, 4)
    try:
        # Sorted by length, so that a batch holds texts of similar length; the rows are put back in order below.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        rows = HttpSide.vectors(server.run(HttpSide.bodies([texts[i] for i in order], 256)))
    finally:
        server.stop()
    vectors = numpy.empty_like(rows)
    vectors[order] = rows
    vectors = vectors[numpy.random.default_rng(7).permutation(len(vectors))]
    write(path, vectors[QUERIES:], vectors[:QUERIES])
    return path


def clusters(count: int, dimension: int, seed: int = 11) -> Path:
    """`count` vectors in 1,000 clusters of unequal size and spread, and 2,000 more of the same kind as queries."""
    path = FOLDER / f"clusters-{count}x{dimension}.safetensors"
    if path.exists():
        return path
    random = numpy.random.default_rng(seed)
    centres = random.standard_normal((1_000, dimension), dtype="f4")
    spread = random.uniform(0.3, 0.9, 1_000).astype("f4")
    weight = random.pareto(2.0, 1_000) + 0.1
    # Inside a cluster the points lie along 32 directions, as the vectors of an encoder do.
    directions = random.standard_normal((1_000, 32), dtype="f4")
    basis = random.standard_normal((32, dimension), dtype="f4") / numpy.sqrt(numpy.float32(8))
    total = count + QUERIES
    home = random.choice(1_000, size=total, p=weight / weight.sum())
    rows = numpy.empty((total, dimension), "f4")
    for start in range(0, total, 20_000):
        part = home[start : start + 20_000]
        low = random.standard_normal((len(part), 32), dtype="f4") * directions[part] * spread[part, None]
        noise = random.standard_normal((len(part), dimension), dtype="f4") * 0.1
        rows[start : start + 20_000] = centres[part] + low @ basis + noise
    write(path, rows[QUERIES:], rows[:QUERIES])
    return path
