#!/usr/bin/env python3
"""What a busy service does for small requests, for equal ones, and under four times the work that it can do.

    Benchmarks/overload.py [--binary .build/release/nearfar] [--seconds 20] [--only lone|turns|embed|loss|neighbors]

lone       one-text requests to /embed, one after another, while other clients keep batches of 10,000 texts and losses of N = 16,384 in
           flight: their p99 has to stay below --lone-p99.
turns      64 clients send 64 texts of 40 tokens each at once: half of them have to be answered within 0.6 of the time of the last.
embed, loss, neighbors
           requests arrive at a steady pace, whatever becomes of the earlier ones (an open loop), first at half and then at four times the
           pace that the service was found to bear, each with a deadline. What is answered with 200 has to be at least 0.9 of what it
           bears, refusals (503 or 429, with Retry-After) have to come within 50 ms, and answers within the deadline.

Ends with 1 when one of these is missed. Everything runs on this machine, so the clients take a part of the cores.
"""

import argparse
import http.client
import json
import os
import random
import re
import statistics
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / ".build" / "release" / "nearfar")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--deadline-ms", type=int, default=2000)
    parser.add_argument("--lone-p99", type=float, default=0.1, help="seconds")
    parser.add_argument("--only", action="append", choices=["lone", "turns", "embed", "loss", "neighbors"])
    return parser.parse_args()


class Service:
    def __init__(self, binary, model):
        command = [str(binary), "serve", "--port", "0", "--model", str(model), "--max-connections", "4000"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if found := re.search(r"ready http://127.0.0.1:(\d+)", line):
                self.port = int(found[1])
                return
        raise SystemExit("the service ended before it was ready")

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def post(connection, path, body, kind="application/json", **fields):
    """Status, Retry-After, and the seconds that it took."""
    began = time.perf_counter()
    connection.request("POST", path, body, {"Content-Type": kind, **fields})
    response = connection.getresponse()
    response.read()
    return response.status, response.getheader("Retry-After"), time.perf_counter() - began


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


WORDS = "time year people way day man thing woman life child world school state family student group country problem hand part".split()


def text(random, words):
    return " ".join(random.choice(WORDS) for _ in range(words))


def tensors(**arrays):
    """A safetensors file of f32 matrices, each given as (rows, columns, bytes)."""
    header, data = {}, b""
    for name, (rows, columns, content) in arrays.items():
        header[name] = {"dtype": "F32", "shape": [rows, columns], "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data


def matrix(random, rows, columns):
    # The same few values again and again: it is the shape that costs.
    block = struct.pack(f"<{columns}f", *(random.gauss(0, 1) for _ in range(columns)))
    shifted = [block[4 * (n % columns):] + block[:4 * (n % columns)] for n in range(min(rows, columns))]
    return rows, columns, b"".join(shifted[n % len(shifted)] for n in range(rows))


class Judge:
    missed = 0

    def holds(self, what, is_met):
        self.missed += not is_met
        print(f"{'met   ' if is_met else 'MISSED'} {what}", flush=True)


def lone(service, options, judge):
    chooser = random.Random(1)
    batch = json.dumps({"inputs": [text(chooser, 16) for _ in range(10_000)], "encoding_format": "base64"}).encode()
    loss = tensors(queries=matrix(chooser, 16_384, 384), keys=matrix(chooser, 16_384, 384))
    stop = threading.Event()
    counts = {"batches": 0, "losses": 0}

    def keep(path, body, kind, name):
        connection = service.connection()
        while not stop.is_set():
            status, _, _ = post(connection, path, body, kind, Accept="application/x-safetensors")
            assert status == 200, status
            counts[name] += 1
        connection.close()

    jobs = [("/embed", batch, "application/json", "batches")] * 2 + [("/loss", loss, "application/x-safetensors", "losses")] * 2
    connection, times = service.connection(), []
    small = json.dumps({"inputs": "what is a neighbour?"}).encode()
    alone = [post(connection, "/embed", small)[2] for _ in range(50)]
    threads = [threading.Thread(target=keep, args=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    end = time.perf_counter() + options.seconds
    while time.perf_counter() < end:
        status, _, took = post(connection, "/embed", small)
        assert status == 200, status
        times.append(took)
        time.sleep(0.02)
    stop.set()
    print(f"lone: {len(times)} one-text requests beside {counts}: median {statistics.median(times) * 1e3:.1f} ms, p99 {quantile(times, 0.99) * 1e3:.1f} ms, longest {max(times) * 1e3:.1f} ms; with nothing else to do {statistics.median(alone) * 1e3:.1f} ms")
    judge.holds(f"lone: p99 {quantile(times, 0.99) * 1e3:.1f} ms (below {options.lone_p99 * 1e3:.0f})", quantile(times, 0.99) < options.lone_p99)
    for thread in threads:
        thread.join(120)


def turns(service, options, judge):
    chooser = random.Random(2)
    bodies = [json.dumps({"inputs": [text(chooser, 38) for _ in range(64)], "encoding_format": "base64"}).encode() for _ in range(64)]
    ends, lone_times = [], []

    def one(body):
        connection = service.connection()
        assert post(connection, "/embed", body)[0] == 200
        ends.append(time.perf_counter() - began)
        connection.close()

    threads = [threading.Thread(target=one, args=(body,)) for body in bodies]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    connection = service.connection()
    while len(ends) < 60:
        lone_times.append(post(connection, "/embed", json.dumps({"inputs": "alone"}).encode())[2])
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    ends.sort()
    print(f"turns: 64 requests of 64 texts of 40 tokens: first after {ends[0]:.2f} s, half after {ends[31]:.2f} s, last after {ends[-1]:.2f} s; a lone text meanwhile: median {statistics.median(lone_times) * 1e3:.0f} ms, longest {max(lone_times) * 1e3:.0f} ms")
    judge.holds(f"turns: half are answered within {ends[31] / ends[-1]:.2f} of the time of the last (at most 0.6)", ends[31] <= 0.6 * ends[-1])
    judge.holds(f"turns: a lone text waits {max(lone_times):.3f} s at most (at most 0.25)", max(lone_times) <= 0.25)


def bearable(service, path, bodies, kind, seconds):
    """Requests/s in a closed loop of four connections."""
    stop, done = threading.Event(), [0] * 4

    def run(number):
        connection = service.connection()
        index = number
        while not stop.is_set():
            status = post(connection, path, bodies[index % len(bodies)], kind)[0]
            assert status == 200, status
            done[number] += 1
            index += 4
        connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)


def open_loop(service, path, bodies, kind, pace, seconds, deadline_ms):
    """(answered 200 with their times, refused with their times and fields, others) of requests that come at `pace`."""
    answered, refused, others, lock = [], [], [], threading.Lock()
    idle, idle_lock = [], threading.Lock()

    def one(body, due):
        with idle_lock:
            connection = idle.pop() if idle else None
        connection = connection or service.connection()
        try:
            status, retry, _ = post(connection, path, body, kind, **{"X-Request-Timeout-Ms": str(deadline_ms)})
        except (OSError, http.client.HTTPException) as error:
            with lock:
                others.append(repr(error))
            return
        took = time.perf_counter() - due
        with lock:
            if status == 200:
                answered.append(took)
            elif status in (429, 503):
                refused.append((took, retry))
            else:
                others.append(status)
        with idle_lock:
            idle.append(connection)

    threads, began, count = [], time.perf_counter(), int(pace * seconds)
    for number in range(count):
        due = began + number / pace
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        thread = threading.Thread(target=one, args=(bodies[number % len(bodies)], max(due, time.perf_counter() - 0.001)))
        thread.start()
        threads.append(thread)
    sent = time.perf_counter() - began
    for thread in threads:
        thread.join(60)
    return answered, refused, others, sent


def overload(name, service, options, judge, path, bodies, kind="application/json"):
    can = bearable(service, path, bodies, kind, max(5, options.seconds / 3))
    for times in (0.5, 4):
        answered, refused, others, sent = open_loop(service, path, bodies, kind, times * can, options.seconds, options.deadline_ms)
        good = len(answered) / sent
        p99, worst = quantile(answered, 0.99), quantile([took for took, _ in refused], 0.99)
        print(f"{name}: bears {can:.1f}/s; at {times} times that: {good:.1f}/s answered, p99 {p99 * 1e3:.0f} ms; {len(refused)} refused, p99 {worst * 1e3:.1f} ms; others: {others[:3]} ({len(others)})", flush=True)
        if times < 1:
            judge.holds(f"{name} at half: {len(refused) + len(others)} of {len(answered) + len(refused) + len(others)} not answered (at most 1 %)", len(refused) + len(others) <= 0.01 * (len(answered) + len(refused) + len(others)))
            continue
        judge.holds(f"{name} at 4 times: answered {good / can:.2f} of what it bears (at least 0.9)", good >= 0.9 * can)
        judge.holds(f"{name} at 4 times: p99 {p99 * 1e3:.0f} ms (at most the deadline, {options.deadline_ms} ms)", p99 <= options.deadline_ms / 1e3)
        judge.holds(f"{name} at 4 times: p99 of refusals {worst * 1e3:.1f} ms (at most 50)", worst <= 0.05)
        judge.holds(f"{name} at 4 times: refusals without Retry-After, and other ends: {sum(not retry for _, retry in refused)}, {len(others)} (none)", not others and all(retry for _, retry in refused))


def main():
    options = arguments()
    chooser = random.Random(3)
    judge = Judge()
    service = Service(options.binary, options.model)
    try:
        for name in options.only or ["lone", "turns", "embed", "loss", "neighbors"]:
            if name == "lone":
                lone(service, options, judge)
            elif name == "turns":
                turns(service, options, judge)
            elif name == "embed":
                bodies = [json.dumps({"inputs": [text(chooser, 30) for _ in range(32)], "encoding_format": "base64"}).encode() for _ in range(16)]
                overload(name, service, options, judge, "/embed", bodies)
            elif name == "loss":
                body = tensors(queries=matrix(chooser, 8192, 32), keys=matrix(chooser, 8192, 32))
                overload(name, service, options, judge, "/loss", [body], "application/x-safetensors")
            else:
                connection = service.connection()
                connection.request("PUT", "/collections/o", json.dumps({"dim": 128, "metric": "cosine"}), {"Content-Type": "application/json"})
                assert connection.getresponse().read() and True
                rows = [struct.unpack("<128f", matrix(random.Random(n), 1, 128)[2]) for n in range(40_000)]
                for start in range(0, len(rows), 2000):
                    points = [{"id": str(start + n), "vector": row} for n, row in enumerate(rows[start:start + 2000])]
                    connection.request("PUT", "/collections/o/points", json.dumps({"points": points}), {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    response.read()
                    assert response.status == 200, response.status
                bodies = [json.dumps({"collection": "o", "exact": True, "ids": [str(n * 256 + each) for each in range(256)]}).encode() for n in range(8)]
                overload(name, service, options, judge, "/neighbors", bodies)
    finally:
        service.stop()
    print(f"load {os.getloadavg()[0]:.2f} after; {judge.missed} missed")
    return 1 if judge.missed else 0


if __name__ == "__main__":
    sys.exit(main())
