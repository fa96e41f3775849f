#!/usr/bin/env python3
"""Compares the recall of a graph after 200,000 removals and insertions with a fresh build of the same vectors.

    Benchmarks/index_churn.py [--index-bench .build/release/index-bench] [--operations 200000]

WordNet's glosses (cosine) and 100,000 synthetic vectors in clusters (Euclidean). Each write removes a
hundred random vectors and inserts a hundred that were removed before, so that a tenth of all is missing meanwhile. At the end
every vector is stored again, and both graphs hold the same vectors. Exits with 1 when recall@10 is lower by more than 0.005 at
any pool size, or the graph is not sound.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
POOLS = [16, 24, 40, 64, 128]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    release = ROOT / ".build" / "release"
    parser.add_argument("--index-bench", type=Path, default=release / "index-bench")
    parser.add_argument("--binary", type=Path, default=release / "nearfar")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--operations", type=int, default=200_000)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    import index

    index.enter_venv()
    import index_data

    judge = index.Thresholds()
    sets = [
        ("wordnet", index_data.wordnet(options.binary, options.model, 2), "cosine"),
        ("clusters", index_data.clusters(100_000, 384), "euclidean"),
    ]
    for name, path, metric in sets:
        ours = index.Nearfar(options.index_bench, path, metric, 2)
        try:
            recalls = []
            for look in range(2):
                _, truth = ours.ask(f"batch 2 {ours.out}")
                recalls.append([index.recall(ours.ask(f"graph {pool} 2 {ours.out}")[1], truth) for pool in POOLS])
                if look == 0:
                    ours.process.stdin.write(f"churn {options.operations}\n")
                    ours.process.stdin.flush()
                    done = ours.read()
                    rate = done["queries"] / done["seconds"]
                    print(f"{name}: {done['queries']:,} operations, {rate:,.0f}/s", flush=True)
                    judge.at_least(f"{name}, less the edges that are wrong", -done["wrong"], 0.0)
                    # Not all: some may stay unreachable until the next check, which comes after a twentieth of new vectors.
                    judge.at_least(f"{name}, vectors that are reachable, as a share", 1 - done["unreachable"] / ours.count, 0.999)
            for pool, fresh, mixed in zip(POOLS, *recalls):
                print(f"{name}: pool {pool:4}: recall {mixed:.4f}, freshly built {fresh:.4f}", flush=True)
                judge.at_least(f"{name}, pool {pool}, half a point less what was lost", 0.005 - (fresh - mixed), 0.0)
        finally:
            ours.stop()
    print(f"{judge.missed} thresholds missed")
    return 1 if judge.missed else 0


if __name__ == "__main__":
    sys.exit(main())
