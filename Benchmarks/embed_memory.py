#!/usr/bin/env python3
"""The memory and the start of `nearfar serve` in each precision: from the start to ready, after many texts in one request, and after
requests of every length in random order.

    Benchmarks/embed_memory.py --binary .build/release/nearfar [--texts 100000] [--requests 1000] [--precisions f32,bf16,int8]

Only Python and Debian's wordnet-base are needed. Exits with 1 when a limit is not kept.
"""

import argparse
import json
import random
import re
import sys
import time
import urllib.request
from pathlib import Path

import glosses
from server_process import ServerProcess

REPOSITORY = Path(__file__).resolve().parent.parent
# The most memory after all texts, in MiB.
LIMITS = {"f32": 300, "bf16": 200, "int8": 200}
START_SECONDS = 1.0
# How much more memory may be used after the requests of all lengths than after a first round of them, in MiB.
GROWTH = 8


def memory(pid: int) -> tuple[int, int]:
    """The largest and the present resident memory of a process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return tuple(int(re.search(rf"{key}:\s+(\d+)", status)[1]) // 1024 for key in ("VmHWM", "VmRSS"))


def embed(port: int, inputs: list[str]) -> int:
    """Sends one request, reads the whole answer without keeping it, and returns its size in bytes."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/embed",
        json.dumps({"inputs": inputs}).encode(),
        {"Content-Type": "application/json", "Accept": "application/x-safetensors"},
    )
    size = 0
    with urllib.request.urlopen(request, timeout=3600) as answer:
        while piece := answer.read(1 << 20):
            size += len(piece)
    return size


def measure(binary: Path, model: Path, precision: str, texts: list[str], count: int) -> bool:
    began = time.monotonic()
    server = ServerProcess([str(binary), "serve", "--model", str(model), "--precision", precision, "--port", "0", "--data", ":memory:"])
    start = time.monotonic() - began
    try:
        pid = server.process.pid
        at_start, _ = memory(pid)
        size = embed(server.port, texts)
        if size < len(texts) * 384 * 4:
            raise SystemExit(f"the answer has {size} bytes, too few for {len(texts)} vectors")
        peak, _ = memory(pid)
        generator = random.Random(1)
        # "dog" is one token, and two more frame the text.
        lengths = [1 + index % 254 for index in range(count)]
        generator.shuffle(lengths)
        after = []
        for round_of in (lengths[: count // 2], lengths[count // 2 :]):
            for number, length in enumerate(round_of):
                embed(server.port, [" ".join(["dog"] * (length - 1) + [("cat", "cow", "hen")[number % 3]])])
            after.append(memory(pid)[1])
    finally:
        server.stop()
    growth = after[1] - after[0]
    limit = LIMITS[precision]
    fine = start < START_SECONDS and peak <= limit and growth <= GROWTH
    print(
        f"{precision}: ready after {start:.2f} s (asked: < {START_SECONDS:.0f}); peak {at_start} MiB at the start, {peak} MiB after "
        f"{len(texts)} texts in one request (asked: ≤ {limit}); {after[0]} and {after[1]} MiB after {count // 2} and {count} requests of "
        f"every length (asked: no growth): {'met' if fine else 'MISSED'}",
        flush=True,
    )
    return fine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=REPOSITORY / ".build/release/nearfar")
    parser.add_argument("--model", type=Path, default=REPOSITORY / "models/all-MiniLM-L6-v2")
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--precisions", default="f32,bf16,int8")
    arguments = parser.parse_args()
    texts = glosses.sample(arguments.texts, seed=7)
    chosen = arguments.precisions.split(",")
    results = [measure(arguments.binary, arguments.model, name, texts, arguments.requests) for name in chosen]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
