#!/usr/bin/env python3
"""Replicas on one PostgreSQL: how soon they follow, what writes cost, what reads gain, and how long a start takes.

    Benchmarks/replicas.py [--binary .build/release/nearfar] [--points 100000] [--only lag|latency|throughput|reads|start]

lag         one replica is written to 200 times a second, one point of 384 values each; how long after a write's answer the others find it.
latency     writes of 1 and of 64 points, one after another, beside a service with --data DIR, which has SQLite, in turns.
throughput  batches of 1,000 points in safetensors from two clients, beside --data DIR, and what takes the processor's time.
reads       searches on three replicas of one thread each beside one process of two threads; wrk takes a part of the cores of both.
start       a replica that builds its graph from the rows, and one that has it in --snapshot-dir, with --points points.

Ends with 1 when a threshold is missed. The database is made by scripts/test-database.sh, with its small shared_buffers (32 MB), and flushes
every commit. Everything runs on this machine.
"""

import argparse
import datetime
import json
import os
import queue
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from replicas_parts import SAFETENSORS, Database, Judge, Service, batch, fill, make, quantiles, searches, vectors, wait_for

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
KINDS = ["lag", "latency", "throughput", "reads", "start"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / ".build" / "release" / "nearfar")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--points", type=int, default=100_000, help="of start; the others take at most 20,000")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--only", action="append", choices=KINDS)
    return parser.parse_args()


def lag(options, judge: Judge) -> None:
    database = Database()
    services = []
    try:
        services = [Service(options, "--store", database.url, threads=1) for _ in range(3)]
        writer = services[0].client()
        make(writer, "lag")
        for each in services:
            wait_for(each, "lag")
        rows = vectors(max(1, int(200 * options.seconds)))
        bodies = [json.dumps({"points": [{"id": f"p{n}", "vector": row.tolist()}]}).encode() for n, row in enumerate(rows)]
        times: list[float] = []
        waiting: queue.Queue = queue.Queue()
        failed = []

        def watch(service: Service) -> None:
            client = service.client()
            while (job := waiting.get()) is not None:
                number, token, answered = job
                body = {"collection": "lag", "vectors": [rows[number].tolist()], "k": 1, "exact": True}
                try:
                    found, _ = client.ask("POST", "/neighbors", body, X_Nearfar_Min_Version=token)
                except SystemExit as error:
                    failed.append(str(error))
                    client = service.client()
                    continue
                times.append(time.perf_counter() - answered)
                if found["results"][0][0]["id"] != f"p{number}":
                    failed.append(f"p{number} was not found")

        watchers = [threading.Thread(target=watch, args=(service,)) for service in services[1:] for _ in range(2)]
        for each in watchers:
            each.start()
        began = time.perf_counter()
        latencies = []
        for number, body in enumerate(bodies):
            pause = began + number / 200 - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            sent = time.perf_counter()
            _, fields = writer.ask("PUT", "/collections/lag/points", body)
            answered = time.perf_counter()
            latencies.append(answered - sent)
            # Every eighth is looked for, so that the searches themselves do not keep the cores busy.
            if number % 8 == 0:
                for _ in services[1:]:
                    waiting.put((number, fields["X-Nearfar-Version"], answered))
        pace = len(bodies) / (time.perf_counter() - began)
        for _ in watchers:
            waiting.put(None)
        for each in watchers:
            each.join()
        middle, high = quantiles(times)
        own, own_high = quantiles(latencies)
        print(f"lag: {pace:.0f} writes/s; found on another replica {middle:.1f} ms after the write's answer (median), p99 {high:.1f} ms, longest {max(times) * 1e3:.1f} ms; the writes themselves took {own:.1f} ms, p99 {own_high:.1f} ms")
        judge.holds(f"lag: {pace:.0f} writes/s (at least 190)", pace >= 190)
        judge.holds(f"lag: p99 {high:.1f} ms (at most 50); {len(failed)} searches failed {failed[:2]}", high <= 50 and not failed)
    finally:
        for each in services:
            each.stop()
        database.stop()


def latency(options, judge: Judge) -> None:
    database = Database()
    services = {}
    with tempfile.TemporaryDirectory(prefix="nearfar-replicas-") as folder:
        try:
            services["PostgreSQL"] = Service(options, "--store", database.url)
            services["SQLite"] = Service(options, "--data", folder)
            clients = {name: service.client() for name, service in services.items()}
            rows = vectors(64)
            for client in clients.values():
                make(client, "latency")
            for size in (1, 64):
                times: dict[str, list[float]] = {name: [] for name in clients}
                end = time.perf_counter() + options.seconds
                number = 0
                while time.perf_counter() < end:
                    number += 1
                    points = [{"id": f"p{number * size % 4096 + n}", "vector": rows[n].tolist()} for n in range(size)]
                    body = json.dumps({"points": points}).encode()
                    for name, client in clients.items():
                        began = time.perf_counter()
                        client.ask("PUT", "/collections/latency/points", body)
                        times[name].append(time.perf_counter() - began)
                told = {name: quantiles(each) for name, each in times.items()}
                print(f"latency: {size} points: " + "; ".join(f"{name} median {middle:.2f} ms, p99 {high:.2f} ms" for name, (middle, high) in told.items()) + f"; ratio of the medians {told['PostgreSQL'][0] / told['SQLite'][0]:.2f}, of the p99s {told['PostgreSQL'][1] / told['SQLite'][1]:.2f} ({number} writes each)", flush=True)
        finally:
            for each in services.values():
                each.stop()
            database.stop()


def throughput(options, judge: Judge) -> None:
    """Points per second into collections that stay below the size from which they have a graph, and into one that has one."""
    count = min(options.points, 20_000)
    rows = vectors(count)
    bodies = [batch(range(start, start + 1000), rows[start : start + 1000]) for start in range(0, count - 999, 1000)]
    rates: dict[tuple[str, bool], float] = {}
    for name in ("SQLite", "PostgreSQL"):
        database = Database() if name == "PostgreSQL" else None
        with tempfile.TemporaryDirectory(prefix="nearfar-replicas-") as folder:
            service = Service(options, *(["--store", database.url] if database else ["--data", folder]))
            try:
                for graph in (False, True):
                    rates[name, graph] = write_batches(name, graph, service, database, bodies)
            finally:
                service.stop()
                if database:
                    database.stop()
    for graph in (False, True):
        print(f"throughput: {'with' if graph else 'without'} a graph: {rates['PostgreSQL', graph] / rates['SQLite', graph]:.2f} of SQLite's rate")
    judge.holds(f"throughput: without a graph {rates['PostgreSQL', False]:,.0f} points/s (at least 15,000)", rates["PostgreSQL", False] >= 15_000)


def write_batches(name: str, graph: bool, service: Service, database: Database | None, bodies: list[bytes]) -> float:
    """Two clients write the batches, 5 to a collection or all to one; returns the points per second."""
    client = service.client()
    paths = [f"{'graph' if graph else 'small'}-{0 if graph else number // 5}" for number in range(len(bodies))]
    for path in sorted(set(paths)):
        make(client, path)
    waiting: queue.Queue = queue.Queue()
    for job in zip(paths, bodies):
        waiting.put(job)

    def send() -> None:
        client = service.client()
        while True:
            try:
                path, body = waiting.get_nowait()
            except queue.Empty:
                return
            client.ask("PUT", f"/collections/{path}/points", body, SAFETENSORS)

    def taken() -> list[float]:
        return [service.processor(), database.seconds() if database else 0.0, time.process_time()]

    before, began = taken(), time.perf_counter()
    senders = [threading.Thread(target=send) for _ in range(2)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    took = time.perf_counter() - began
    used = [new - old for new, old in zip(taken(), before)]
    rate = 1000 * len(bodies) / took
    print(f"throughput: {name}, {'one collection with' if graph else 'collections without'} a graph: {rate:,.0f} points/s, {1000 * len(bodies):,} in {took:.2f} s; processor: service {used[0]:.2f} s, database {used[1]:.2f} s, this client {used[2]:.2f} s", flush=True)
    return rate


def reads(options, judge: Judge) -> None:
    count = min(options.points, 20_000)
    # Queries are of the same clusters, as those of users are like the texts that they look for.
    rows = vectors(count + 100)
    rows, queries = rows[:count], rows[count:]
    database = Database()
    services: list[Service] = []
    with tempfile.TemporaryDirectory(prefix="nearfar-replicas-") as folder:
        try:
            one = Service(options, "--store", database.url, threads=2)
            services = [one]
            client = one.client()
            make(client, "reads")
            fill(client, "reads", rows)
            three = [Service(options, "--store", database.url, threads=1) for _ in range(3)]
            services += three
            for each in three:
                wait_for(each, "reads")
            # Graphs are built in the background.
            time.sleep(5)
            for exact in (False, True):
                bodies = [{"collection": "reads", "vectors": [row.tolist()], "k": 10, "exact": exact} for row in queries]
                mode = client.ask("POST", "/neighbors", bodies[0])[0]["mode"]
                Path(folder, "bodies").write_text("".join(json.dumps(body) + "\n" for body in bodies))
                rates: dict[str, list[float]] = {"one": [], "three": []}
                for _ in range(3):
                    rates["one"].append(searches(folder, [one.port] * 3, options.seconds / 3))
                    rates["three"].append(searches(folder, [each.port for each in three], options.seconds / 3))
                alone, spread = (statistics.median(rates[name]) for name in ("one", "three"))
                print(f"reads: {count:,} points, mode {mode}; one process of two threads {alone:,.0f}/s {[round(each) for each in rates['one']]}, three replicas of one thread {spread:,.0f}/s {[round(each) for each in rates['three']]}: {spread / alone:.2f}", flush=True)
                # An exact search reads all codes, of which the processor's cache then has to hold three copies.
                if not exact:
                    judge.holds(f"reads: three replicas answer {spread / alone:.2f} of what one process does (at least 0.9)", spread >= 0.9 * alone)
        finally:
            for each in services:
                each.stop()
            database.stop()


def start(options, judge: Judge) -> None:
    database = Database()
    service = None
    with tempfile.TemporaryDirectory(prefix="nearfar-replicas-") as folder:
        try:
            # This one has no folder, so that its graph is of no use to the others.
            service = Service(options, "--store", database.url)
            client = service.client()
            make(client, "start")
            began = time.perf_counter()
            for first in range(0, options.points, 100_000):
                part = vectors(min(100_000, options.points - first), seed=first)
                for place in range(0, len(part), 1000):
                    rows = part[place : place + 1000]
                    client.ask("PUT", "/collections/start/points", batch(range(first + place, first + place + len(rows)), rows), SAFETENSORS)
            print(f"start: {options.points:,} points written in {time.perf_counter() - began:.1f} s, with the graph built meanwhile", flush=True)
            service.stop()
            # Of a million points; fewer may take as long.
            limit = 20 * max(1.0, options.points / 1_000_000)
            service = Service(options, "--store", database.url, "--snapshot-dir", folder)
            built, used, build = service.started, service.processor(), build_seconds(service)
            check(service, options.points)
            service.stop()
            size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
            service = Service(options, "--store", database.url, "--snapshot-dir", folder)
            print(f"start: from the rows {built:.1f} s, of which building the graph took {build:.1f} s ({used:.1f} s of the processor); from the saved graph {service.started:.1f} s ({size / 1e6:.0f} MB saved)")
            check(service, options.points)
            judge.holds(f"start: {service.started:.1f} s from the saved graph (at most {limit:.0f} s)", service.started <= limit)
            judge.holds(f"start: {built - build:.1f} s from the rows beside building the graph (at most {0.75 * limit:.0f} s)", built - build <= 0.75 * limit)
        finally:
            if service is not None:
                service.stop()
            database.stop()


def check(service: Service, count: int) -> None:
    """Every point is there, and a search uses a graph."""
    client = service.client()
    described, _ = client.ask("GET", "/collections/start")
    body = {"collection": "start", "vectors": vectors(1, seed=0).tolist(), "k": 10}
    found, _ = client.ask("POST", "/neighbors", body)
    print(f"start: {described['count']:,} points at version {described['version']}, searched by {found['mode']}")
    if described["count"] != count:
        raise SystemExit(f"there are {described['count']} points, not {count}")


def build_seconds(service: Service) -> float:
    """How long the graph took to build at a start, by the times of the log's lines."""
    log = service.process.log
    log.seek(0)
    times = {}
    for line in log.read().decode(errors="replace").splitlines():
        for what in ("building the graph", "loaded collection"):
            if what in line and "'start'" in line:
                times[what] = datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00"))
    return (times["loaded collection"] - times["building the graph"]).total_seconds() if len(times) == 2 else 0.0


def main() -> int:
    options = arguments()
    sys.path.insert(0, str(HERE))
    import own_venv

    own_venv.enter("replicas-venv", "replicas-requirements.txt")
    judge = Judge()
    for kind in options.only or KINDS:
        globals()[kind](options, judge)
    print(f"load {os.getloadavg()[0]:.2f} after; {judge.missed} missed")
    return 1 if judge.missed else 0


if __name__ == "__main__":
    sys.exit(main())
