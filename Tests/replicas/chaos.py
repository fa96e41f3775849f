#!/usr/bin/env python3
"""Three replicas behind HAProxy on one PostgreSQL, under load, with a fault every few seconds; what clients saw is judged afterwards.

    chaos.py [--seconds 600] [--seed N] [--history FILE]

A fault is one of: SIGKILL of a replica, which is started again at once; SIGSTOP for three seconds; an immediate restart of the database,
which recovers like after a crash; cutting a replica's connections to it. Prints a line per fault and per finding, and a summary as JSON.
Exits with 1 when anything is wrong. NEARFAR_TEST_BINARY names the program.
"""

import argparse
import http.client
import json
import random
import re
import sys
import threading
import time

from clients import COLLECTION, DIM, PATH, QUEUE, Appender, Notes, Reader, Writer
from database import Database
from history import READS, WRITES, Finding, check, has_changed, summary
from replica import Balancer, Replica, all_points, ask
from severable import Severable

SECONDS_PER_FAULT = 5
STALL_SECONDS = 3
# How long writes are repeated after the last fault, and replicas may take to reach the newest version.
SETTLE_SECONDS = 30
# Keys are kept for ten minutes.
KEPT_SECONDS = 400
QUERY = {"collection": COLLECTION, "vectors": [[1, -2, 0.5, 3, 0, -1, 2, 1]], "k": 20, "exact": True}
# Says how long ago the database was seen, which is no part of what is compared.
STALENESS = re.compile(r',?"stale_seconds":[0-9.e+-]+')


class Prober(threading.Thread):
    """Asks every replica by itself for its digest and for the answer to one query, so that equal versions can be compared."""

    def __init__(self, notes: Notes, replicas: list[Replica]) -> None:
        super().__init__(daemon=True)
        self.notes, self.replicas = notes, replicas

    def run(self) -> None:
        while not self.notes.stopping.wait(0.2):
            for number, replica in enumerate(self.replicas):
                probe(self.notes, number, replica, seconds=1)


def probe(notes: Notes, number: int, replica: Replica, seconds: float = 10) -> dict:
    """Notes a replica's digest and answer; returns their versions by kind. What has no answer is left out."""
    found = {}
    for kind, method, path, body in [("digest", "GET", f"{PATH}/digest", None), ("exact", "POST", "/neighbors", QUERY)]:
        try:
            status, _, content = ask(replica.port, method, path, body, seconds=seconds)
        except (OSError, http.client.HTTPException):
            continue
        if status != 200:
            continue
        answer = json.loads(content)
        text = answer["digest"] if kind == "digest" else STALENESS.sub("", content.decode())
        notes.add({"kind": kind, "replica": number, "query": 0, "version": answer["version"], "answer": text})
        found[kind] = answer["version"]
    return found


class Faults:
    """Does a random fault to a random replica or to the database."""

    def __init__(self, seed: int, database: Database, replicas: list[Replica], proxies: list[Severable]) -> None:
        self.random = random.Random(seed)
        self.database, self.replicas, self.proxies = database, replicas, proxies
        self.counts: dict[str, int] = {}
        self.bag: list[str] = []

    def one(self) -> None:
        # Each of four faults comes once before any comes again.
        self.bag = self.bag or self.random.sample(["kill", "stall", "restart the database", "cut"], 4)
        name = self.bag.pop()
        which = self.random.randrange(len(self.replicas))
        self.counts[name] = self.counts.get(name, 0) + 1
        print(f"chaos: {name}" + ("" if name.startswith("restart") else f" replica {which}"), flush=True)
        replica = self.replicas[which]
        if name == "kill":
            replica.kill()
            replica.start()
        elif name == "stall":
            replica.stall()
            time.sleep(STALL_SECONDS)
            replica.go_on()
        elif name == "cut":
            self.proxies[which].cut()
        else:
            self.database.restart("immediate")


def points(replica: Replica) -> dict[str, dict]:
    """Every point that a replica has."""
    return {identity: {"vector": point["vector"], "metadata": point["metadata"]} for identity, point in all_points(replica.port, PATH).items()}


def repeat(notes: Notes, replicas: list[Replica], seed: int) -> None:
    """Sends some answered writes again, with their keys, to each replica in turn."""
    recent = time.monotonic() - KEPT_SECONDS
    done = [event for event in notes.history if event["kind"] in WRITES and has_changed(event) and event["at"] > recent]
    for number, event in enumerate(random.Random(seed).sample(done, min(60, len(done)))):
        method, path, body = event["request"]
        replica = replicas[number % len(replicas)]
        status, _, content = ask(replica.port, method, path, body, {"Idempotency-Key": event["key"]})
        version = json.loads(content).get("version")
        notes.add({"kind": "repeat", "op": event["op"], "first": event["version"], "status": status, "version": version})


def settle(notes: Notes, database: Database, replicas: list[Replica], with_queue: bool) -> list[Finding]:
    """Waits until every replica has the newest version, and notes what they and the database have."""
    findings = []
    row = database.ask(f"SELECT version, count FROM nearfar.collections WHERE name = '{COLLECTION}'")
    newest, count = (int(each) for each in row.split("|"))
    deadline = time.monotonic() + SETTLE_SECONDS
    for number, replica in enumerate(replicas):
        while (reached := probe(notes, number, replica)).get("exact") != newest:
            if time.monotonic() > deadline:
                findings.append(Finding("not followed", f"replica {number} is at {reached}, and the database at {newest}"))
                break
            time.sleep(0.1)
        if "digest" not in reached:
            findings.append(Finding("no digest", f"replica {number} gives no digest"))
    end = {"kind": "end", "version": newest, "points": points(replicas[0])}
    for number, replica in enumerate(replicas):
        listed = json.dumps(points(replica), sort_keys=True)
        notes.add({"kind": "exact", "replica": number, "query": "list", "version": newest, "answer": listed})
    if len(end["points"]) != count:
        findings.append(Finding("different", f"the row of the collection says {count} points, and there are {len(end['points'])}"))
    if with_queue:
        described = [json.loads(ask(each.port, "GET", f"/queues/{QUEUE}?consistency=strong")[2]) for each in replicas]
        end["queue"] = described[0]
        for number, each in enumerate(described):
            notes.add({"kind": "exact", "replica": number, "query": "queue", "version": each.get("version"), "answer": str(each.get("appended"))})
    notes.add(end)
    return findings


def run(seconds: float, seed: int, with_queue: bool = True, rate: float = 1) -> tuple[list[dict], list[Finding], dict]:
    """Runs everything; returns the history, what is wrong, and how often each fault was done."""
    database = Database()
    proxies = [Severable(database.socket_path) for _ in range(3)]
    replicas: list[Replica] = []
    balancer = None
    notes = Notes()
    try:
        replicas = [Replica(proxy.url) for proxy in proxies]
        balancer = Balancer([replica.port for replica in replicas])
        status, _, answer = ask(balancer.port, "PUT", PATH, {"dim": DIM, "metric": "cosine"})
        assert status == 201, answer
        if with_queue:
            status, _, answer = ask(balancer.port, "PUT", f"/queues/{QUEUE}", {"capacity": 4096, "dim": DIM, "durable": True})
            assert status == 201, answer
        port = balancer.port
        # All replicas have them before any client asks them, since clients without a token may meet one that does not know them yet.
        for replica in replicas:
            for path in [PATH, f"/queues/{QUEUE}"] if with_queue else [PATH]:
                while ask(replica.port, "GET", path)[0] != 200:
                    time.sleep(0.05)
        clients = [Writer(notes, port, f"{seed}.w{n}", 8 * rate) for n in range(4)]
        clients += [Reader(notes, port, f"{seed}.r{n}", 20 * rate) for n in range(4)]
        if with_queue:
            clients += [Appender(notes, port, f"{seed}.q{n}", 4 * rate) for n in range(2)]
        threads = [*clients, Prober(notes, replicas)]
        for thread in threads:
            thread.start()
        faults = Faults(seed, database, replicas, proxies)
        end = time.monotonic() + seconds
        while time.monotonic() + SECONDS_PER_FAULT < end:
            next_fault = time.monotonic() + SECONDS_PER_FAULT
            faults.one()
            time.sleep(max(0.0, next_fault - time.monotonic()))
        notes.deadline = time.monotonic() + SETTLE_SECONDS
        notes.stopping.set()
        for thread in threads:
            thread.join(SETTLE_SECONDS + 35)
        for client in clients:
            if client.failure is not None:
                raise client.failure
        for replica in replicas:
            replica.wait_ready()
        repeat(notes, replicas, seed)
        findings = settle(notes, database, replicas, with_queue)
        # One that starts now reads everything from the rows, and has to be as those that have followed.
        replicas[1].kill()
        replicas[1].start()
        replicas[1].wait_ready()
        probe(notes, 1, replicas[1])
        return notes.history, findings + check(notes.history), faults.counts
    finally:
        if balancer is not None:
            balancer.stop()
        for replica in replicas:
            replica.stop()
        for proxy in proxies:
            proxy.close()
        database.remove()


def tell(history: list[dict], findings: list[Finding], faults: dict) -> dict:
    """Prints the findings and the summary."""
    shown: dict[str, int] = {}
    for finding in findings:
        shown[finding.kind] = shown.get(finding.kind, 0) + 1
        if shown[finding.kind] <= 10:
            print(f"chaos: {finding.kind.upper()}: {finding.text}")
    told = summary(history, findings) | {"faults": faults}
    print(json.dumps(told))
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=float, default=1, help="how much more or less than the usual load")
    parser.add_argument("--no-queue", action="store_true", help="leave the queue out")
    parser.add_argument("--history", help="a file that the history is written to, one event a line")
    options = parser.parse_args()
    print(f"chaos: seed {options.seed}", flush=True)
    history, findings, faults = run(options.seconds, options.seed, not options.no_queue, options.rate)
    if options.history:
        with open(options.history, "w") as file:
            for event in history:
                file.write(json.dumps(event) + "\n")
    tell(history, findings, faults)
    failed = [event for event in history if event["kind"] in READS and event["status"] not in (200, 404)]
    for event in failed[:10]:
        print(f"chaos: a failed read: {event['kind']} {event['status']} after {event['seconds']:.2f} s: {str(event['answer'])[:200]}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
