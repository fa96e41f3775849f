#!/usr/bin/env python3
"""Compares texts/s of Nearfar's POST /embed with ONNX Runtime in f32, on the same WordNet glosses, in one run.

    Benchmarks/embed.py [--binary .build/release/nearfar] [--threshold 1.0]

The peer runs in this process: 2 threads, batches of 32 sorted by length, tokenization included. Nearfar runs as
`nearfar serve` and is called over HTTP: 32 texts per request, 4 keep-alive connections, in the order of the sample. The
two take turns (A B A B …) so that a change of the machine's pace affects both. Exits with 1 when the ratio of the
medians is below the threshold or when the vectors differ.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENV = ROOT / ".build" / "bench-venv"


def enter_venv() -> None:
    """Restarts this script in .build/bench-venv with the pinned peer. The first run makes it; later runs need no network."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    wanted = (HERE / "requirements.txt").read_text()
    stamp = VENV / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making {VENV.relative_to(ROOT)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        pip = [str(VENV / "bin" / "pip"), "install", "--quiet", "--requirement", str(HERE / "requirements.txt")]
        subprocess.run(pip, check=True)
        stamp.write_text(wanted)
    python = str(VENV / "bin" / "python")
    os.execv(python, [python, *sys.argv])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / ".build" / "release" / "nearfar")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--texts", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="compute threads of each side")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--per-request", type=int, default=32)
    parser.add_argument("--threshold", type=float, default=1.0, help="the smallest ratio that passes")
    parser.add_argument("--precision", default="f32", help="given to nearfar serve")
    parser.add_argument("--min-cosine", type=float, default=0.99999)
    parser.add_argument("--peer-only", action="store_true", help="measure the peer without a server")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    enter_venv()
    # Set before the tokenizer's thread pool starts, so that both sides have the same number of threads.
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    import glosses
    import numpy
    from http_side import HttpSide
    from onnx_peer import OnnxPeer

    texts = glosses.sample(options.texts)
    peer = OnnxPeer(options.model, options.threads, options.per_request)
    ours = None
    if not options.peer_only:
        ours = HttpSide(
            [
                str(options.binary),
                "serve",
                "--port",
                "0",
                "--data",
                ":memory:",
                "--model",
                str(options.model),
                "--threads",
                str(options.threads),
                "--precision",
                options.precision,
            ],
            options.connections,
        )
    try:
        bodies = HttpSide.bodies(texts, options.per_request)
        peer_rates, our_rates = [], []
        for turn in range(options.rounds + 1):
            start = time.perf_counter()
            expected = peer.embed(texts)
            peer_rate = len(texts) / (time.perf_counter() - start)
            our_rate = 0.0
            if ours is not None:
                start = time.perf_counter()
                answers = ours.run(bodies)
                our_rate = len(texts) / (time.perf_counter() - start)
            name = f"round {turn}" if turn else "warm-up"
            print(f"{name}: onnxruntime {peer_rate:7.1f} texts/s   nearfar {our_rate:7.1f} texts/s", flush=True)
            if turn:
                peer_rates.append(peer_rate)
                our_rates.append(our_rate)
    finally:
        if ours is not None:
            ours.stop()

    peer_median = statistics.median(peer_rates)
    print(f"onnxruntime f32, {options.threads} threads: {peer_median:.1f} texts/s (median of {options.rounds})")
    if ours is None:
        return 0
    our_median = statistics.median(our_rates)
    ratio = our_median / peer_median
    vectors = HttpSide.vectors(answers)
    cosines = numpy.einsum("ij,ij->i", vectors.astype("f8"), expected.astype("f8"))
    cosines /= numpy.linalg.norm(vectors, axis=1) * numpy.linalg.norm(expected, axis=1)
    worst = float(cosines.min())
    print(f"nearfar /embed over HTTP: {our_median:.1f} texts/s")
    print(f"lowest cosine between the two: {worst:.7f} (at least {options.min_cosine})")
    print(f"ratio: {ratio:.2f} (at least {options.threshold})")
    return 0 if ratio >= options.threshold and worst >= options.min_cosine else 1


if __name__ == "__main__":
    sys.exit(main())
