#!/usr/bin/env python3
"""Searches over HTTP: their rate compared with the rate in process, and their latency while another client writes.

    Benchmarks/index_service.py [--binary .build/release/nearfar] [--index-bench .build/release/index-bench]

115,659 WordNet glosses embedded by MiniLM. Queries are vectors in safetensors, 16 per request, k = 10, on 8 connections of
wrk, which shares the two cores with the service; in process, two threads search with the same queries and the same pool size.
Then wrk searches alone, and while 50,000 points are inserted, 500 per request. Exits with 1 when a threshold is missed.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from tensor_file import pack

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PER_REQUEST = 16
CONNECTIONS = 8
WRITES = 50_000
SCRIPT = """
local bodies = {}
for i = 0, %d do
  local file = io.open("%s/" .. i, "rb")
  bodies[#bodies + 1] = file:read("*a")
  file:close()
end
local turn = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-safetensors"
request = function()
  turn = turn %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[turn])
end
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    release = ROOT / ".build" / "release"
    parser.add_argument("--binary", type=Path, default=release / "nearfar")
    parser.add_argument("--index-bench", type=Path, default=release / "index-bench")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--ef", type=int, default=40)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def call(url: str, method: str, body: bytes, kind: str = "application/x-safetensors") -> dict:
    request = urllib.request.Request(url, body, {"Content-Type": kind}, method=method)
    with urllib.request.urlopen(request, timeout=300) as response:
        return json.loads(response.read())


def put(base: str, vectors, first: int, size: int) -> None:
    for start in range(0, len(vectors), size):
        part = vectors[start : start + size]
        ids = json.dumps([f"p{first + start + i}" for i in range(len(part))])
        call(f"{base}/collections/glosses/points", "PUT", pack({"ids": ids}, {"vectors": part}))


def wrk(base: str, script: str, seconds: int) -> tuple[float, float]:
    """Requests/s and the 99th percentile in milliseconds."""
    found = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", script, f"{base}/neighbors"],
        check=True, capture_output=True, text=True,
    ).stdout
    if "Non-2xx" in found:
        raise SystemExit(found)
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", found).groups()
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]
    return float(re.search(r"Requests/sec:\s+([\d.]+)", found)[1]), float(value) * scale


def main() -> int:
    options = arguments()
    sys.path.insert(0, str(HERE))
    import index

    index.enter_venv()
    import index_data

    path = index_data.wordnet(options.binary, options.model, 2)
    vectors, queries = index_data.read(path)
    judge = index.Thresholds()
    command = [str(options.binary), "serve", "--port", "0", "--model", str(options.model), "--threads", "2"]
    server = subprocess.Popen([*command, "--data", ":memory:"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    ours = index.Nearfar(options.index_bench, path, "cosine", 2)
    try:
        base = re.fullmatch(r"nearfar ready (\S+)\s*", server.stdout.readline())[1]
        call(f"{base}/collections/glosses", "PUT", json.dumps({"dim": vectors.shape[1]}).encode(), "application/json")
        start = time.perf_counter()
        put(base, vectors, 0, 10_000)
        print(f"115,659 points stored and indexed over HTTP in {time.perf_counter() - start:.1f} s")
        with tempfile.TemporaryDirectory() as folder:
            count = len(queries) // PER_REQUEST
            meta = {"collection": "glosses", "k": "10", "ef": str(options.ef), "include": "[]"}
            for i in range(count):
                part = queries[i * PER_REQUEST : (i + 1) * PER_REQUEST]
                (Path(folder) / str(i)).write_bytes(pack(meta, {"vectors": part}))
            script = str(Path(folder) / "neighbors.lua")
            Path(script).write_text(SCRIPT % (count - 1, folder))
            wrk(base, script, 2)
            ratios, calm = [], []
            for _ in range(options.rounds):
                rate, late = wrk(base, script, options.seconds)
                inside = max(ours.ask(f"graph {options.ef} 2 {ours.out}")[0] for _ in range(3))
                print(f"HTTP {rate * PER_REQUEST:,.0f} queries/s, p99 {late:.2f} ms; in process {inside:,.0f} queries/s", flush=True)
                ratios.append(rate * PER_REQUEST / inside)
                calm.append(late)
            judge.at_least("queries through HTTP, as a share of those in process", sorted(ratios)[len(ratios) // 2], 0.6)
            extra = (vectors[:WRITES] + vectors[WRITES : 2 * WRITES]) / 2
            writer = threading.Thread(target=put, args=(base, extra, 1_000_000, 500))
            start = time.perf_counter()
            writer.start()
            busy = []
            while writer.is_alive():
                busy.append(wrk(base, script, 4)[1])
            writer.join()
            quiet = sorted(calm)[len(calm) // 2]
            worst = sorted(busy)[len(busy) // 2]
            print(f"50,000 points inserted meanwhile in {time.perf_counter() - start:.1f} s: p99 {worst:.2f} ms, without {quiet:.2f} ms")
            judge.at_least("p99 without the writer, as a share of that with it", quiet / worst, 0.5)
    finally:
        ours.stop()
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    print(f"{judge.missed} thresholds missed")
    return 1 if judge.missed else 0


if __name__ == "__main__":
    sys.exit(main())
