#!/usr/bin/env python3
"""Stops, kills and starts replicas behind a balancer in turn while requests continue, and counts the answers.

Called by smoke-balancer.sh. It needs the standard library only, and ends every process that it starts. With --store there are three replicas
on one PostgreSQL, and every request goes to any of them; otherwise there are two, of which one has the collections. With --tls the balancer
serves HTTPS and asks the replicas by HTTPS, with certificates that the command openssl makes.
"""

import argparse
import collections
import http.client
import itertools
import json
import os
import pathlib
import signal
import socket
import ssl
import string
import subprocess
import sys
import tempfile
import threading
import time
import uuid

HERE = pathlib.Path(__file__).resolve().parent
JSON_HEADERS = {"Content-Type": "application/json"}
TEXTS = ["a cat sat on the mat", "the dog ran far", "near and far", "stars are far away"]
QUERIES = [[1, 0, 0.5, 0], [0, 1, 0, 0.25], [0.5, 0, 1, 0]]
KEYS = [[1, 0, 0.25, 0], [0, 1, 0.125, 0], [0, 0.5, 1, 0]]

# Requests that are always balanced; their answers depend on the body only.
STATELESS = [
    ("POST", "/embed", {"inputs": TEXTS[0]}),
    ("POST", "/embed", {"inputs": TEXTS}),
    ("POST", "/v1/embeddings", {"input": TEXTS[:2], "model": "any"}),
    ("POST", "/loss", {"queries": QUERIES, "keys": KEYS, "return": ["loss", "per_row"]}),
    ("POST", "/loss", {"queries": TEXTS[:2], "keys": TEXTS[2:]}),
]
# Requests that are balanced where replicas share a store. Those that read ask for a collection that does not change.
STORED = [
    ("POST", "/neighbors", {"collection": "smoke", "vectors": [[1, 0, 0]], "k": 2, "exact": True}),
    ("GET", "/collections/smoke/points/x", None),
    ("PUT", "/collections/written/points", {"points": [{"id": "w", "vector": [1, 2, 3]}]}),
]
POINTS = {"points": [{"id": "x", "vector": [1, 0, 0]}, {"id": "y", "vector": [0, 1, 0]}]}


def is_write(request):
    """Writes have a key of their own each time, and their answers name another version each time."""
    return request[0] == "PUT"


def free_ports(count):
    """Ports that were free a moment ago. They are open at the same time, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def call(connection, method, path, body=None, headers=JSON_HEADERS):
    """(status, name of the replica that served it, body) of one request."""
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    return response.status, response.headers.get("X-Served-By"), response.read()


# How clients reach the balancer and the replicas; main() sets it.
trust = None


def connect(port):
    """A new connection, by TLS where the trial is one of TLS."""
    if trust is None:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=trust)


def once(port, method, path, body=None, headers=JSON_HEADERS):
    """The same on a new connection."""
    connection = connect(port)
    try:
        return call(connection, method, path, body, headers)
    finally:
        connection.close()


def wait_until(condition, seconds, what):
    """Polls until the condition holds. An OSError (nothing listens yet) means that it does not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise SystemExit(f"smoke-balancer: waited {seconds} s in vain for {what}")


class Replica:
    """One `nearfar serve` that can be stopped and started on the same port."""

    def __init__(self, name, command, port, folder):
        self.name, self.port = name, port
        self.command = command + ["--port", str(port)]
        self.log = folder / f"replica-{name}.log"
        self.process = None

    def start(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        line = f"nearfar ready {'https' if trust else 'http'}://127.0.0.1:{self.port}"

        def ready():
            if self.process.poll() is not None:
                raise SystemExit(f"smoke-balancer: replica {self.name} ended: {self.log.read_text(errors='replace')}")
            return line in self.log.read_text(errors="replace")

        wait_until(ready, 60, f"the ready line of replica {self.name}")

    def stop(self):
        """Exit status after SIGTERM, and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60), time.monotonic() - started

    def kill(self):
        """Ends it by SIGKILL, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait(timeout=60)


class Load:
    """A few threads that send requests all the time, and the results."""

    def __init__(self, port, threads, pause, requests):
        self.port, self.pause, self.requests = port, pause, requests
        self.lock = threading.Lock()
        self.phase = "all up"
        self.served = collections.Counter()
        self.routes = collections.Counter()
        self.failures = []
        self.slowest = 0.0
        self.written = 0
        self.expected = {}
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(index,)) for index in range(threads)]

    def work(self, offset):
        connection = None
        for number in itertools.count(offset):
            if self.stopping.is_set():
                break
            index = number % len(self.requests)
            method, path, body = self.requests[index]
            writes = is_write(self.requests[index])
            headers = JSON_HEADERS | ({"Idempotency-Key": str(uuid.uuid4())} if writes else {})
            with self.lock:
                phase = self.phase
            started = time.monotonic()
            failure = served = None
            try:
                # Some requests use a kept connection and others a new one, so that there are both when a replica stops.
                if connection is None or number % 7 == 0:
                    if connection is not None:
                        connection.close()
                    connection = connect(self.port)
                status, served, answer = call(connection, method, path, body, headers)
                if status != 200:
                    failure = f"{status} {answer[:200]!r}"
                elif not writes and answer != self.expected[index]:
                    failure = f"200 with other bytes than at first: {answer[:100]!r}"
            except (OSError, http.client.HTTPException) as error:
                failure = repr(error)
                connection = None
            seconds = time.monotonic() - started
            with self.lock:
                self.served[phase, served] += 1
                self.routes[path] += 1
                self.written += writes and failure is None
                self.slowest = max(self.slowest, seconds)
                if failure:
                    self.failures.append(f"{phase}: {method} {path}: {failure}")
            time.sleep(self.pause)
        if connection is not None:
            connection.close()

    def enter(self, phase):
        with self.lock:
            self.phase = phase
        print(f"==> smoke-balancer: {phase}", flush=True)

    def count(self, phase, replica):
        with self.lock:
            return self.served[phase, replica]


class Checks:
    """Counts conditions that must hold."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def expect(self, condition, what):
        if condition:
            self.passed += 1
        else:
            self.failed += 1
            print(f"smoke-balancer: FAILED: {what}", flush=True)


def check_pinned(checks, port, reads_bodies):
    """Routes with state, and /loss with a queue, are always served by replica a; without a key only where the balancer reads bodies."""
    status, served, body = once(port, "PUT", "/collections/smoke", {"dim": 3, "metric": "cosine"})
    checks.expect(status in (200, 201) and served == "a", f"PUT /collections/smoke: {status} from {served}: {body[:200]!r}")
    status, served, body = once(port, "PUT", "/collections/smoke/points", POINTS)
    checks.expect(status in (200, 201) and served == "a", f"PUT points: {status} from {served}: {body[:200]!r}")
    query = {"collection": "smoke", "vectors": [[1, 0, 0]], "k": 1}
    for _ in range(20):
        status, served, body = once(port, "POST", "/neighbors", query)
        checks.expect(status == 200 and served == "a", f"POST /neighbors: {status} from {served}: {body[:200]!r}")
        status, served, body = once(port, "GET", "/collections/smoke")
        checks.expect(status == 200 and served == "a", f"GET /collections/smoke: {status} from {served}: {body[:200]!r}")
    # Whatever the answers to these are, they must come from replica a.
    queued = {"queries": QUERIES, "keys": KEYS, "queue": "smoke"}
    keyed = JSON_HEADERS | {"Idempotency-Key": "smoke"}
    safetensors = JSON_HEADERS | {"Content-Type": "application/x-safetensors"}
    pinned = [
        ("GET", "/queues/smoke", None, JSON_HEADERS),
        ("GET", "/%63ollections", None, JSON_HEADERS),
        ("POST", "/loss", STATELESS[3][2], keyed),
    ]
    if reads_bodies:
        pinned.append(("POST", "/loss", queued, JSON_HEADERS))
    for _ in range(6):
        for method, path, body, headers in pinned:
            status, served, _ = once(port, method, path, body, headers)
            checks.expect(status < 500 and served == "a", f"{method} {path}: {status} from {served}, wanted a")
        if not reads_bodies:
            continue
        header = json.dumps({"__metadata__": {"queue": "smoke"}}).encode()
        connection = connect(port)
        connection.request("POST", "/loss", len(header).to_bytes(8, "little") + header, safetensors)
        response = connection.getresponse()
        response.read()
        checks.expect(response.headers.get("X-Served-By") == "a", "POST /loss as safetensors with a queue, wanted a")
        connection.close()


def make_shared(checks, port, replicas):
    """Makes the collections of STORED by the balancer, and checks that every replica has them soon."""
    for name in ("smoke", "written"):
        status, _, body = once(port, "PUT", f"/collections/{name}", {"dim": 3, "metric": "cosine"})
        checks.expect(status == 201, f"PUT /collections/{name}: {status}: {body[:200]!r}")
        for replica in replicas:
            wait_until(lambda: once(replica.port, "GET", f"/collections/{name}")[0] == 200, 5, f"{name} at replica {replica.name}")
    status, _, body = once(port, "PUT", "/collections/smoke/points", POINTS)
    checks.expect(status == 200, f"PUT points: {status}: {body[:200]!r}")
    for replica in replicas:
        path = "/collections/smoke/points/y"
        wait_until(lambda: once(replica.port, "GET", path)[0] == 200, 5, f"points at replica {replica.name}")


def check_shared(checks, port, replicas):
    """Any replica serves any route, and a write that comes again with its key is done once, wherever it goes."""
    status, _, body = once(port, "PUT", "/queues/smoke", {"capacity": 8, "dim": 4})
    checks.expect(status == 201, f"PUT /queues/smoke: {status}: {body[:200]!r}")
    for replica in replicas:
        wait_until(lambda: once(replica.port, "GET", "/queues/smoke")[0] == 200, 5, f"the queue at replica {replica.name}")
    for path in ("/collections", "/collections/smoke", "/queues/smoke"):
        served = {once(port, "GET", path)[:2] for _ in range(9)}
        checks.expect(served == {(200, name) for name in "abc"}, f"GET {path} is served by {served}")
    keyed = JSON_HEADERS | {"Idempotency-Key": "smoke"}
    for method, path, body in [
        ("POST", "/loss", {"queries": QUERIES, "keys": KEYS, "queue": "smoke"}),
        ("PUT", "/collections/written/points", {"points": [{"id": "once", "vector": [1, 2, 3]}]}),
    ]:
        keyed["Idempotency-Key"] += "."
        answers = {once(port, method, path, body, keyed)[::2] for _ in range(6)}
        checks.expect(len(answers) == 1 and {status for status, _ in answers} == {200}, f"{method} {path} with one key: {answers}")
    appended = json.loads(once(port, "GET", "/queues/smoke?consistency=strong")[2]).get("appended")
    checks.expect(appended == len(KEYS), f"{appended} rows were appended to the queue, not {len(KEYS)}")
    version = json.loads(once(port, "GET", "/collections/written?consistency=strong")[2])["version"]
    checks.expect(version == 1, f"one write made version {version}")


def turn(load, checks, replica, others, options, frontend, by="stopped"):
    """Stops or kills one replica under load, waits, starts it again, and waits again."""
    down = f"replica {replica.name} {by}"
    load.enter(down)
    before = {other.name: load.count(down, other.name) for other in others}
    if by == "stopped":
        status, took = replica.stop()
        print(f"smoke-balancer: replica {replica.name} ended with status {status} after {took:.2f} s", flush=True)
        checks.expect(status == 0, f"replica {replica.name} ended with status {status}")
    else:
        replica.kill()
    time.sleep(options.seconds)
    for name, count in before.items():
        checks.expect(load.count(down, name) > count, f"{down}: {name} served nothing")
    if options.store:
        status, served, _ = once(frontend, "GET", "/collections/smoke")
        checks.expect(status == 200 and served in before, f"GET /collections/smoke while {replica.name} is down: {status} from {served}")
    elif replica.name == "a":
        status, served, body = once(frontend, "GET", "/collections")
        told = status == 503 and served is None and json.loads(body)["status"] == 503
        # nginx has no page of its own in the service's form.
        told = told or (options.balancer == "nginx" and status in (502, 504))
        checks.expect(told, f"GET /collections while a is down: {status} from {served}: {body[:200]!r}")
    else:
        # The collection is gone once replica a has been down.
        status, served, _ = once(frontend, "GET", "/collections")
        checks.expect(status == 200 and served == "a", f"GET /collections while b is down: {status} from {served}")
    up = f"replica {replica.name} started again"
    load.enter(up)
    before = load.count(up, replica.name)
    replica.start()
    wait_until(lambda: load.count(up, replica.name) > before, 30, f"answers of replica {replica.name}")
    time.sleep(options.seconds)


def certificates(folder):
    """Makes an authority and a certificate for loopback and for `nearfar`: (authority, chain, key, both in one file)."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, cwd=folder, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=smoke authority", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *curve, "-subj", "/CN=nearfar", "-keyout", "key.pem", "-out", "request.pem")
    (folder / "names").write_text("subjectAltName=DNS:nearfar,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "chain.pem")
    both = folder / "both.pem"
    both.write_text((folder / "chain.pem").read_text() + (folder / "key.pem").read_text())
    return folder / "ca.pem", folder / "chain.pem", folder / "key.pem", both


def balancer_command(options, environment, folder):
    """The command that runs the balancer with its configuration, which has been checked."""
    if options.balancer == "haproxy":
        command = ["haproxy", "-f", str(HERE / "haproxy.cfg")]
        subprocess.run(command + ["-c"], env=environment, check=True)
        return command + ["-db"]
    template = string.Template((HERE / "nginx.conf.template").read_text())
    names = {name: value for name, value in environment.items() if name.startswith("NEARFAR_")}
    (folder / "nginx.conf").write_text(template.safe_substitute(names))
    paths = "".join(f" {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = (folder / "nginx.conf").read_text().replace("http {", "http {" + paths, 1)
    (folder / "nginx.conf").write_text(text)
    command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf"), "-g", f"pid {folder}/nginx.pid; daemon off;"]
    subprocess.run(command + ["-t"], env=environment, check=True)
    return command


def trial(options, folder, processes):
    """Runs everything and returns (checks, load)."""
    names = "abc" if options.store else "ab"
    *ports, frontend = free_ports(len(names) + 1)
    command = [str(options.binary), "serve", "--host", "127.0.0.1", "--model", str(options.model), "--threads", "1"]
    command += ["--trusted-proxy", "127.0.0.1", "--trusted-proxy", "::1"]
    secured = {}
    if options.tls:
        authority, chain, key, both = certificates(folder)
        command += ["--tls-cert", str(chain), "--tls-key", str(key)]
        secured = {"NEARFAR_BALANCER_CERTIFICATE": str(both), "NEARFAR_REPLICA_CA": str(authority)}
        global trust
        trust = ssl.create_default_context(cafile=str(authority))
    if options.store:
        command += ["--store", options.store]
    replicas = [Replica(name, command, port, folder) for name, port in zip(names, ports)]
    processes += replicas
    for replica in replicas:
        replica.start()

    environment = os.environ | secured | {
        "NEARFAR_BIND": f"127.0.0.1:{frontend}",
    } | {f"NEARFAR_REPLICA_{replica.name.upper()}": f"127.0.0.1:{replica.port}" for replica in replicas}
    if not options.store:
        environment["NEARFAR_NO_STORE"] = "1"
    balancer = Replica("balancer", [], frontend, folder)
    processes.append(balancer)
    running = balancer_command(options, environment, folder)
    with open(balancer.log, "wb") as log:
        balancer.process = subprocess.Popen(running, env=environment, stdout=log, stderr=log)
    wait_until(lambda: once(frontend, "GET", "/readyz")[0] == 200, 30, "the balancer")

    checks = Checks()
    if options.store:
        make_shared(checks, frontend, replicas)
    load = Load(frontend, options.threads, options.pause, STATELESS + (STORED if options.store else []))
    for index, request in enumerate(load.requests):
        if is_write(request):
            continue
        method, path, body = request
        answers = [once(port, method, path, body) for port in ports]
        for status, _, answer in answers:
            checks.expect(status == 200, f"{method} {path} straight to a replica: {status} {answer[:200]!r}")
        checks.expect(len({answer for _, _, answer in answers}) == 1, f"{method} {path}: the replicas' answers differ")
        load.expected[index] = answers[0][2]
    if options.store:
        check_shared(checks, frontend, replicas)
    else:
        check_pinned(checks, frontend, options.balancer == "haproxy")
    if checks.failed:
        return checks, load

    load.enter("all up")
    for thread in load.threads:
        thread.start()
    try:
        time.sleep(options.seconds)
        for name in names:
            checks.expect(load.count("all up", name) > 0, f"with all up, {name} served nothing")
        # The last one first, since the first may have the state.
        turns = [("stopped", number) for number in range(options.restarts or len(names))]
        turns += [("killed", number) for number in range(options.kills or len(names))]
        for by, number in turns:
            replica = replicas[-1 - number % len(names)]
            turn(load, checks, replica, [each for each in replicas if each is not replica], options, frontend, by)
    finally:
        load.stopping.set()
        for thread in load.threads:
            thread.join()
    if options.store:
        # One write of check_shared, and each of the load was done once, however often the balancer has sent it.
        version = json.loads(once(frontend, "GET", "/collections/written?consistency=strong")[2])["version"]
        checks.expect(version == load.written + 1, f"{load.written + 1} writes made version {version}")
    for replica in replicas:
        checks.expect(replica.stop()[0] == 0, f"replica {replica.name} did not end with status 0")
    return checks, load


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.01, help="seconds a thread waits between requests")
    parser.add_argument("--seconds", type=float, default=3, help="how long a replica is down, and how long it is up again")
    parser.add_argument("--restarts", type=int, help="how often a replica is stopped by SIGTERM and started again; default: each once")
    parser.add_argument("--kills", type=int, help="how often one is killed by SIGKILL and started again; default: each once")
    parser.add_argument("--store", help="the address of the database that the replicas share; the balancer is HAProxy")
    parser.add_argument("--tls", action="store_true", help="the balancer and the replicas speak TLS")
    parser.add_argument("--balancer", choices=["haproxy", "nginx"], default="haproxy")
    options = parser.parse_args()
    processes = []
    with tempfile.TemporaryDirectory(prefix="nearfar-balancer-") as folder:
        folder = pathlib.Path(folder)
        try:
            checks, load = trial(options, folder, processes)
        finally:
            for each in processes:
                if each.process is not None and each.process.poll() is None:
                    each.process.terminate()
                    try:
                        each.process.wait(timeout=10)
                    except subprocess.TimeoutExpired:
                        each.process.kill()
                        each.process.wait()
        if load.failures or checks.failed:
            for each in processes:
                print(f"--- {each.log.name}\n{each.log.read_text(errors='replace')[-3000:]}")
    for failure in load.failures[:20]:
        print(f"smoke-balancer: FAILED: {failure}")
    for (phase, replica), count in sorted(load.served.items(), key=str):
        print(f"smoke-balancer: {phase}: {count} answered by {replica or 'no replica'}")
    total = sum(load.routes.values())
    print("smoke-balancer: " + ", ".join(f"{path} {count}" for path, count in sorted(load.routes.items())))
    print(f"smoke-balancer: {total} requests, {len(load.failures)} failed, slowest {load.slowest:.3f} s; "
          f"{checks.passed} checks held, {checks.failed} did not")
    sane = total >= 100
    if not sane:
        print("smoke-balancer: too few requests to tell anything")
    return 0 if sane and not load.failures and not checks.failed else 1


if __name__ == "__main__":
    sys.exit(main())
