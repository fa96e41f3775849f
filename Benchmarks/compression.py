#!/usr/bin/env python3
"""Measures what gzip costs and saves in answers: vectors in JSON, embedded and listed, and a list of points with metadata.

usage: compression.py [--binary .build/release/nearfar] [--rounds 3] [--seconds 3] [--connections 4]

The same request is sent over keep-alive connections with and without `Accept-Encoding: gzip`, in turns, so that a change of the
machine's pace affects both. The server runs with `--compression all`, which compresses vectors as well. Of each way the medians
are printed: answers per second, bytes, and the server's processor time per answer; then the processor time that gzip adds, the
time that the bytes it saves would take at 1 Gbit/s, and what 1 Gbit/s would let through of both. Compression pays where it saves
more time than it adds.

Exits with 1 when listed metadata does not pay, or when listed vectors do: `--compression on` would then be wrong. Embedding takes
so much longer than either that its own difference is noise.
"""

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time

BYTES_PER_SECOND = 1e9 / 8


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=".build/release/nearfar")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=4)
    return parser.parse_args()


class Server:
    """A running `nearfar serve` that compresses whatever a client wants compressed."""

    def __init__(self, binary):
        self.process = subprocess.Popen(
            [binary, "serve", "--port", "0", "--compression", "all"], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            match = re.search(r"ready http://127\.0\.0\.1:(\d+)", line)
            if match:
                self.port = int(match[1])
                return
        sys.exit(f"the server ended with {self.process.wait()} before it was ready")

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def send(connection, method, path, body, coding):
    """The bytes of the answer's body on the wire."""
    headers = {"Accept-Encoding": coding}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read()
    if response.status not in (200, 201) or (coding == "gzip") != (response.headers["Content-Encoding"] == "gzip"):
        sys.exit(f"{method} {path}: {response.status} {response.headers['Content-Encoding']} {content[:300]!r}")
    return len(content)


def measure(server, options, request, coding):
    """Answers per second, bytes of an answer, and the server's processor seconds per answer."""
    counts, sizes = [0] * options.connections, set()
    connections = [
        http.client.HTTPConnection("127.0.0.1", server.port, timeout=60) for _ in range(options.connections)]
    for connection in connections:
        sizes.add(send(connection, *request, coding))
    before, start = server.processor_seconds(), time.monotonic()
    end = start + options.seconds

    def work(index):
        while time.monotonic() < end:
            send(connections[index], *request, coding)
            counts[index] += 1

    threads = [threading.Thread(target=work, args=(index,)) for index in range(options.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, used = time.monotonic() - start, server.processor_seconds() - before
    for connection in connections:
        connection.close()
    return sum(counts) / took, max(sizes), used / max(1, sum(counts))


def prepare(server):
    """The requests that are measured, by name: method, path and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    texts = [f"Sentence number {number} is about item {number * 37 % 101}." for number in range(32)]
    setup = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    setup.request("PUT", "/collections/listed", json.dumps({"dim": 2}), {"Content-Type": "application/json"})
    setup.getresponse().read()
    setup.close()
    points = [
        {"id": f"doc-{number:05}", "vector": [1, number],
         "metadata": {"language": "en", "year": 1990 + number % 30, "source": f"wiki/{number * 7919 % 10007}"}}
        for number in range(1000)]
    send(connection, "PUT", "/collections/listed/points", json.dumps({"points": points}), "identity")
    send(connection, "PUT", "/collections/default/points",
         json.dumps({"points": [{"id": f"{number}", "text": text} for number, text in enumerate(texts)]}), "identity")
    connection.close()
    return {
        "/embed, 32 x 384 in JSON": ("POST", "/embed", json.dumps({"inputs": texts})),
        "32 points' vectors, 384 values each, listed": (
            "POST", "/collections/default/points/list", json.dumps({"limit": 1000, "include": ["vector"]})),
        "1,000 points' metadata, listed": (
            "POST", "/collections/listed/points/list", json.dumps({"limit": 1000, "include": ["metadata"]})),
    }


def main():
    options = arguments()
    server = Server(options.binary)
    pays = {}
    try:
        for name, request in prepare(server).items():
            rounds = {"identity": [], "gzip": []}
            for _ in range(options.rounds):
                for coding, measured in rounds.items():
                    measured.append(measure(server, options, request, coding))
            print(f"{name}; {options.connections} connections, {options.seconds:g} s each, medians of {options.rounds}")
            medians = {}
            for coding, measured in rounds.items():
                rate, size, used = (statistics.median(column) for column in zip(*measured))
                medians[coding] = rate, size, used
                print(f"  {coding:9} {rate:8.1f}/s {size:9.0f} bytes {used * 1e3:8.3f} ms of processor per answer")
            (rate, size, used), (coded_rate, coded_size, coded_used) = medians["identity"], medians["gzip"]
            added, saved = coded_used - used, (size - coded_size) / BYTES_PER_SECOND
            pays[name] = saved > added
            through = min(rate, BYTES_PER_SECOND / size), min(coded_rate, BYTES_PER_SECOND / coded_size)
            print(f"  gzip: {coded_rate / rate:.2f} times the answers per second, {coded_size / size:.2f} times the bytes; "
                  f"adds {added * 1e3:.3f} ms, saves {saved * 1e3:.3f} ms at 1 Gbit/s: it "
                  f"{'pays' if pays[name] else 'does not pay'}")
            print(f"  through 1 Gbit/s: {through[0]:.1f}/s without, {through[1]:.1f}/s with gzip", flush=True)
    finally:
        server.stop()
    return 0 if list(pays.values())[1:] == [False, True] else 1


if __name__ == "__main__":
    sys.exit(main())
