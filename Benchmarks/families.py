#!/usr/bin/env python3
"""Compares Nearfar with ONNX Runtime and OpenVINO on one model of each family, in the size in which it is used.

    Benchmarks/families.py [--binary .build/release/nearfar] [--models minilm-l6,bge-base] [--lengths 16,128]

The models have random weights, which are multiplied as fast as trained ones, and a small vocabulary. The first run
makes them in .build/families, with the exports for the peers: about ten minutes and 8 GB. All texts of a length have
exactly that many tokens. The peers run in this process with 2 threads, are given ids of tokens in batches of the size
that is fastest for each, and return pooled vectors. Nearfar runs as `nearfar serve` and is given texts over HTTP, with
JSON both ways and 8 connections. Within a model, a precision and a length they take turns (A B A B …), and medians are
compared. The limit is the rate of a product by oneDNN, of 512 × hidden × inner values, on the same threads. Vectors are
compared with those of ONNX Runtime in f32. ONNX Runtime has no fast bf16 on CPUs, so OpenVINO is the only peer there,
where the processor has bf16 products.

Exits with 1 when a ratio or a cosine that is asked for is missed.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import families_make
import own_venv
from families_models import FAMILIES, LONGEST
from options import some_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PRECISIONS = ("f32", "bf16", "int8")


def lengths(words: str) -> list[int]:
    try:
        chosen = [int(word) for word in words.split(",")]
    except ValueError:
        chosen = []
    if not chosen or not all(4 <= length <= LONGEST for length in chosen):
        raise argparse.ArgumentTypeError(f"must be numbers from 4 to {LONGEST}, with commas between them")
    return chosen


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / ".build" / "release" / "nearfar")
    parser.add_argument("--models", type=some_of(tuple(FAMILIES)), default=list(FAMILIES))
    parser.add_argument("--lengths", type=lengths, default=[16, 128, LONGEST], help="tokens of a text")
    parser.add_argument("--precisions", type=some_of(PRECISIONS), default=list(PRECISIONS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of a turn; one batch at least, and longer for models that are large")
    parser.add_argument("--threads", type=int, default=2, help="compute threads of each side")
    parser.add_argument("--asked", type=float, default=1.3, help="times the best peer of the same precision")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    own_venv.enter("families-venv", "families-requirements.txt")
    # Set before any thread pool starts.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    missing = [name for name in options.models if not families_make.is_made(FAMILIES[name])]
    if missing:
        print(f"making {', '.join(missing)}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, str(HERE / "families_make.py"), *missing], check=True)
    import families_report
    import processor
    from families_measure import FamilyRun

    bf16 = "has" if processor.HAS_BF16 else "has no"
    print(f"{processor.name()} {bf16} bf16 products; {options.threads} threads for each side", flush=True)
    rows = []
    for name in options.models:
        rows += FamilyRun(FAMILIES[name], options).measure()
    print()
    families_report.tables(rows)
    return 0 if families_report.is_met(rows, options.asked) else 1


if __name__ == "__main__":
    sys.exit(main())
