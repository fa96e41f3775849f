#!/usr/bin/env python3
"""Compares the index with hnswlib, faiss, usearch and scalable-vs in one run: queries/s by recall@10, build time, bytes per vector.

    Benchmarks/index.py [--index-bench .build/release/index-bench] [--binary .build/release/nearfar] [--set wordnet|clusters]

Two sets: 115,659 WordNet glosses embedded by the service's own encoder (cosine; 2,000 others as queries), and 200,000
synthetic vectors of 768 dimensions in clusters (Euclidean). Each library gets the same rows and the same queries, one query
after another on one thread, then on two. The pool size (ef) is varied, and rates are read off the curves at recall 0.95 and
0.99. The libraries take turns, round by round. The ground truth comes from faiss IndexFlat. Exits with 1 when a threshold is
missed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import own_venv

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SCRATCH = ROOT / ".build" / "index-data"
POOLS = [10, 12, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512]
SINGLE = 200


def enter_venv() -> None:
    """Restarts the script in the environment of the index's peers."""
    own_venv.enter("index-venv", "index-requirements.txt")


def add_programs(parser: argparse.ArgumentParser) -> None:
    """Adds the flags for the measured program, and for the service and model that embed the texts of a set."""
    release = ROOT / ".build" / "release"
    parser.add_argument("--index-bench", type=Path, default=release / "index-bench")
    parser.add_argument("--binary", type=Path, default=release / "nearfar")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_programs(parser)
    parser.add_argument("--set", choices=["wordnet", "clusters"], action="append")
    parser.add_argument("--threads", type=int, default=2, help="threads for building and for the exact search")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path, help="write the curves here, one picture per set (NAME in the path becomes the set's name)")
    return parser.parse_args()


class Nearfar:
    """A running index-bench that does one measurement per line it is sent."""

    name = "Nearfar"

    def __init__(self, binary: Path, path: Path, metric: str, threads: int, *build: str) -> None:
        command = [str(binary), str(path), metric, str(threads), *build]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        found = self.read()
        # Vectors that were added since the last check of reachability may be unreachable until the next check, which comes
        # after a twentieth more has been added.
        self.unreachable = found["unreachable"]
        if self.unreachable > found["vectors"] / 20:
            raise SystemExit(f"{self.unreachable} vectors cannot be reached")
        self.count = found["vectors"]
        self.build, self.bytes = found["seconds"], found["bytes"] / self.count
        self.out = SCRATCH / "found.bin"

    def read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("index-bench ended early")
        return json.loads(line)

    def ask(self, command: str):
        """Returns queries/s and the slots that were found."""
        import numpy

        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        found = self.read()
        return found["queries"] / found["seconds"], numpy.fromfile(self.out, "<i4").reshape(-1, 10)

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)


def recall(found, truth) -> float:
    return sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), truth.tolist())) / truth.size


def rate_at(curve: list[tuple[float, float]], wanted: float) -> float:
    """Queries/s at a recall, interpolated linearly; 0 when the curve does not reach that recall."""
    curve = sorted(curve)
    best = 0.0
    for (low, slow), (high, fast) in zip(curve, curve[1:]):
        if low <= wanted <= high:
            share = (wanted - low) / (high - low) if high > low else 0.0
            best = max(best, slow + share * (fast - slow))
    return max([best, *[rate for reached, rate in curve if reached >= wanted and best == 0.0]], default=0.0)


class Thresholds:
    def __init__(self) -> None:
        self.missed = 0

    def at_least(self, what: str, value: float, least: float) -> None:
        met = value >= least
        self.missed += 0 if met else 1
        print(f"{'met   ' if met else 'MISSED'} {what}: {value:.4g} (at least {least})", flush=True)


def sweep(sides: list, ours: Nearfar, queries, truth, threads: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    rates: dict[tuple[str, int], list[float]] = {}
    reached: dict[tuple[str, int], float] = {}
    for _ in range(rounds):
        for pool in POOLS:
            rate, found = ours.ask(f"graph {pool} {threads} {ours.out}")
            rates.setdefault((ours.name, pool), []).append(rate)
            reached[ours.name, pool] = recall(found, truth)
            for side in sides:
                if reached.get((side.name, pool), 0) > 0.9995:
                    continue
                start = time.perf_counter()
                found = side.search(queries, pool, threads)
                rates.setdefault((side.name, pool), []).append(len(queries) / (time.perf_counter() - start))
                reached[side.name, pool] = recall(found, truth)
    curves: dict[str, list[tuple[float, float]]] = {}
    for (name, pool), values in rates.items():
        curves.setdefault(name, []).append((reached[name, pool], statistics.median(values)))
    return curves


def exact(flat, ours: Nearfar, queries, truth, options: argparse.Namespace, judge: Thresholds, name: str) -> None:
    singles, batches = [], []
    for _ in range(options.rounds):
        start = time.perf_counter()
        flat.one_at_a_time(queries[:SINGLE], options.threads)
        theirs = SINGLE / (time.perf_counter() - start)
        rate, found = ours.ask(f"exact {options.threads} {ours.out} {SINGLE}")
        if recall(found, truth[:SINGLE]) < 0.999:
            raise SystemExit("the exact search is not exact")
        singles.append((theirs, rate))
        start = time.perf_counter()
        flat.search(queries, options.threads)
        theirs = len(queries) / (time.perf_counter() - start)
        rate, found = ours.ask(f"batch {options.threads} {ours.out}")
        if recall(found, truth) < 0.999:
            raise SystemExit("the exact search is not exact")
        batches.append((theirs, rate))
    for what, values, least in [("one query at a time", singles, 4.0), ("all queries at once", batches, 2.0)]:
        theirs, rate = (statistics.median(side) for side in zip(*values))
        print(f"{name}: exact, {what}, {options.threads} threads: faiss IndexFlat {theirs:,.0f}/s, Nearfar {rate:,.0f}/s")
        judge.at_least(f"{name}, exact, {what}, times as fast as IndexFlat", rate / theirs, least)


def plot(path: Path, name: str, curves: dict[str, list[tuple[float, float]]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for side, curve in curves.items():
        points = [(r, q) for r, q in sorted(curve) if r >= 0.8]
        axes.plot([r for r, _ in points], [q for _, q in points], "o-", label=side, linewidth=3 if side == "Nearfar" else 1.5)
    axes.set(xlabel="recall@10", ylabel="queries/s, one thread", yscale="log", xlim=(0.85, 1.0), title=name)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(str(path).replace("NAME", name.split(",")[0]), dpi=110)


def measure(name: str, path: Path, metric: str, options: argparse.Namespace, judge: Thresholds) -> None:
    import index_data
    import index_peers as peers
    import numpy

    vectors, queries = index_data.read(path)
    if metric == "cosine":
        vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
        queries /= numpy.linalg.norm(queries, axis=1, keepdims=True)
    flat = peers.FaissFlat(vectors, metric)
    truth = flat.search(queries, options.threads)
    ours = Nearfar(options.index_bench, path, metric, options.threads)
    try:
        exact(flat, ours, queries, truth, options, judge, name)
        sides = [
            peers.Hnswlib(vectors, metric, options.threads, 16), peers.Hnswlib(vectors, metric, options.threads, 32),
            peers.FaissHNSW(vectors, metric, options.threads, 16), peers.FaissHNSW(vectors, metric, options.threads, 32),
            peers.Usearch(vectors, metric, options.threads), peers.Vamana(vectors, metric, options.threads),
        ]
        for side in [ours, *sides]:
            print(f"{name}: {side.name:16} built in {side.build:7.1f} s, {side.bytes:7.0f} bytes per vector", flush=True)
        for threads in [1, 2]:
            curves = sweep(sides, ours, queries, truth, threads, options.rounds)
            for side, curve in curves.items():
                at = [rate_at(curve, wanted) for wanted in (0.95, 0.99)]
                print(f"{name}: {side:16} {threads} thread(s): {at[0]:9,.0f}/s at 0.95, {at[1]:9,.0f}/s at 0.99", flush=True)
            if threads != 1:
                continue
            if options.plot:
                plot(options.plot, name, curves)
            for wanted in (0.95, 0.99):
                rates = {side: rate_at(curve, wanted) for side, curve in curves.items()}
                mine = rates.pop(ours.name)
                hnsw = max(rate for side, rate in rates.items() if side.startswith("hnswlib"))
                # A library that does not reach the recall has the rate 0; the ratio to it is infinite for one that does.
                for what, theirs, least in [("hnswlib", hnsw, 2.0), ("the best peer", max(rates.values()), 1.5)]:
                    ratio = mine / theirs if theirs > 0 else float("inf") if mine > 0 else 0.0
                    judge.at_least(f"{name}, recall {wanted}, times as fast as {what}", ratio, least)
        judge.at_least(f"{name}, hnswlib M16's build time in times of ours", sides[0].build / ours.build, 1.0)
    finally:
        ours.stop()


def main() -> int:
    options = arguments()
    enter_venv()
    sys.path.insert(0, str(HERE))
    import index_data

    judge = Thresholds()
    sets = options.set or ["wordnet", "clusters"]
    if "wordnet" in sets:
        path = index_data.wordnet(options.binary, options.model, options.threads)
        measure("wordnet, 384 dimensions, cosine", path, "cosine", options, judge)
    if "clusters" in sets:
        measure("clusters, 768 dimensions, Euclidean", index_data.clusters(200_000, 768), "euclidean", options, judge)
    print(f"load {os.getloadavg()[0]:.2f}; {judge.missed} thresholds missed")
    return 1 if judge.missed else 0


if __name__ == "__main__":
    sys.exit(main())
