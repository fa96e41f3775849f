#!/usr/bin/env python3
"""A million points in the service: its memory with and without --low-memory, and searches with filters.

    Benchmarks/index_memory.py [--binary .build/release/nearfar] [--count 1000000]

Synthetic vectors in clusters, 384 dimensions, cosine, in a data folder. Memory is what the kernel reports for the process: resident
(RssAnon + RssFile + RssShmem), and anonymous, which the kernel can only reclaim by swapping. Both are read while the service is
idle; the peak of anonymous memory is sampled every 20 ms from its start on. Both modes must give the same answers, byte for
byte. Then the same vectors are stored with two numbers each in their metadata, and every filtered answer must be complete and
right. Exits with 1 when a threshold is missed. Needs 8 GB of disk and 10 minutes.
"""

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
GIB = 1 << 30
BATCH = 10_000
PER_REQUEST = 16
# The share of the points that match, and the filter.
FILTERS = [
    (1.0, None), (0.5, {"number": {"$lt": 500_000}}), (0.1, {"number": {"$lt": 100_000}}), (0.01, {"number": {"$lt": 10_000}}),
    (0.001, {"tenth": 7}), (0.00001, {"number": {"$lt": 10}}),
]


def memory(process: subprocess.Popen) -> dict[str, int]:
    text = Path(f"/proc/{process.pid}/status").read_text()
    return {name: int(value) * 1024 for name, value in re.findall(r"(Rss\w+|VmRSS):\s+(\d+) kB", text)}


class Service:
    """A running `nearfar serve`, whose anonymous memory is sampled from its start on."""

    def __init__(self, options: argparse.Namespace, folder: str, *flags: str) -> None:
        command = [str(options.binary), "serve", "--port", "0", "--model", str(options.model), "--threads", "2"]
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, "--data", folder, *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.peak, self.watches = 0, True
        watcher = threading.Thread(target=self.watch, daemon=True)
        watcher.start()
        self.base = re.fullmatch(r"nearfar ready (\S+)\s*", self.process.stdout.readline())[1]
        self.started = time.perf_counter() - start

    def watch(self) -> None:
        while self.watches:
            try:
                self.peak = max(self.peak, memory(self.process).get("RssAnon", 0))
            except OSError:
                return
            time.sleep(0.02)

    def stop(self) -> None:
        self.watches = False
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(300)


def fill(service: Service, vectors, with_metadata: bool) -> None:
    from index_service import call
    from tensor_file import pack

    start = time.perf_counter()
    call(f"{service.base}/collections/c", "PUT", json.dumps({"dim": vectors.shape[1]}).encode(), "application/json")
    for first in range(0, len(vectors), BATCH):
        part = vectors[first : first + BATCH]
        numbers = range(first, first + len(part))
        meta = {"ids": json.dumps([f"p{n}" for n in numbers])}
        if with_metadata:
            values = [{"number": n * 1_000_000 // len(vectors), "tenth": n % 1000} for n in numbers]
            meta["metadata"] = json.dumps(values)
        call(f"{service.base}/collections/c/points", "PUT", pack(meta, {"vectors": part}))
    print(f"{len(vectors):,} points stored and indexed in {time.perf_counter() - start:.0f} s", flush=True)
    # The service returns freed memory to the system a second after the last batch.
    time.sleep(3)


def ask(service: Service, part, **fields) -> tuple[float, list]:
    """Returns the seconds that the request took, and what was found for each query."""
    from index_service import call

    body = {"collection": "c", "vectors": part, "k": 10, "include": ["metadata"], **fields}
    start = time.perf_counter()
    answer = call(f"{service.base}/neighbors", "POST", json.dumps(body).encode(), "application/json")
    return time.perf_counter() - start, answer["results"]


def answers(service: Service, queries) -> list:
    found = []
    for fields in [{}, {"exact": True}]:
        for start in range(0, 64, PER_REQUEST):
            found.append(ask(service, queries[start : start + PER_REQUEST].tolist(), **fields)[1])
    return found


def filters(service: Service, queries, count: int) -> int:
    """Prints the time of a query under each filter; returns how many answers were wrong."""
    wrong = 0
    for share, condition in FILTERS:
        fields = {} if condition is None else {"filter": condition}
        times, hits, wanted = [], 0, 0
        for query in queries[:100]:
            seconds, [found] = ask(service, [query.tolist()], **fields)
            times.append(seconds)
            if len(found) < min(10, int(share * count)):
                wrong += 1
            if condition is not None and not all(matches(condition, hit["metadata"]) for hit in found):
                wrong += 1
            if len(times) <= 20:
                truth = {hit["id"] for hit in ask(service, [query.tolist()], exact=True, **fields)[1][0]}
                wanted += len(truth)
                hits += sum(hit["id"] in truth for hit in found)
        print(
            f"{share:8.3%} of the points match: median {statistics.median(times) * 1e3:6.2f} ms per request with one query, "
            f"recall@10 {hits / wanted:.3f}", flush=True)
    return wrong


def matches(condition: dict, metadata: dict) -> bool:
    [(field, wanted)] = condition.items()
    return metadata[field] < wanted["$lt"] if isinstance(wanted, dict) else metadata[field] == wanted


def report(name: str, service: Service) -> dict[str, int]:
    found = memory(service.process)
    print(
        f"{name}: {found['VmRSS'] / GIB:.2f} GiB resident, {found['RssAnon'] / GIB:.2f} GiB anonymous, "
        f"at most {service.peak / GIB:.2f} GiB anonymous since its start; ready after {service.started:.1f} s", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / ".build" / "release" / "nearfar")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--count", type=int, default=1_000_000)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    import index

    index.enter_venv()
    import index_data

    vectors, queries = index_data.read(index_data.clusters(options.count, 384))
    judge = index.Thresholds()
    scratch = ROOT / ".build" / "index-data"
    share = options.count / 1_000_000
    found, used = {}, {}
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        for name, flags in [("filled", []), ("in memory", []), ("--low-memory", ["--low-memory"])]:
            service = Service(options, folder, *flags)
            try:
                if name == "filled":
                    fill(service, vectors, False)
                else:
                    found[name] = answers(service, queries)
                used[name] = report(name, service)
            finally:
                service.stop()
    judge.at_least("resident memory: 2.3 GiB per million vectors, divided by it", 2.3 * GIB * share / used["in memory"]["VmRSS"], 1.0)
    judge.at_least("the same after filling", 2.3 * GIB * share / used["filled"]["VmRSS"], 1.0)
    judge.at_least(
        "anonymous memory: 0.8 GiB per million vectors, divided by it", 0.8 * GIB * share / used["--low-memory"]["RssAnon"], 1.0)
    judge.at_least(
        "answers that are the same in both modes, as a share", float(found["in memory"] == found["--low-memory"]), 1.0)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        service = Service(options, folder)
        try:
            fill(service, vectors, True)
            report("with metadata, filled", service)
            wrong = filters(service, queries, options.count)
        finally:
            service.stop()
    judge.at_least("filtered answers that are full and match, as a share", 1 - wrong / (100 * len(FILTERS)), 1.0)
    print(f"{judge.missed} thresholds missed")
    return 1 if judge.missed else 0


if __name__ == "__main__":
    sys.exit(main())
