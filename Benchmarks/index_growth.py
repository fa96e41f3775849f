#!/usr/bin/env python3
"""How the index's cost grows: 10,000, 100,000 and 1,000,000 synthetic vectors in clusters, 384 dimensions, cosine.

    Benchmarks/index_growth.py [--index-bench .build/release/index-bench] [--largest 1000000]

Prints build time, bytes per vector, queries/s on one thread at recall@10 0.95 and 0.99, and the exact search's rates. The largest
needs 5 GiB of memory and of disk.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index-bench", type=Path, default=ROOT / ".build" / "release" / "index-bench")
    parser.add_argument("--largest", type=int, default=1_000_000)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    import index

    index.enter_venv()
    import index_data

    print("  vectors   build s    bytes/vector   0.95, 1 thread   0.99, 1 thread   exact, 1 at a time   2,000 at once")
    for count in [10_000, 100_000, 1_000_000]:
        if count > options.largest:
            break
        ours = index.Nearfar(options.index_bench, index_data.clusters(count, 384), "cosine", 2)
        try:
            batch, truth = ours.ask(f"batch 2 {ours.out}")
            single = ours.ask(f"exact 2 {ours.out} 100")[0]
            curve = []
            for pool in index.POOLS:
                rate, found = max((ours.ask(f"graph {pool} 1 {ours.out}") for _ in range(2)), key=lambda pair: pair[0])
                curve.append((index.recall(found, truth), rate))
            at = [index.rate_at(curve, wanted) for wanted in (0.95, 0.99)]
            print(
                f"{count:9,} {ours.build:9.1f} {ours.bytes:15,.0f} {at[0]:14,.0f}/s {at[1]:14,.0f}/s {single:18,.0f}/s "
                f"{batch:13,.0f}/s", flush=True)
        finally:
            ours.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
