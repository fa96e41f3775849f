#!/usr/bin/env python3
"""What a normal client notices while another one is hostile, and whether the service gives back the memory.

    Benchmarks/hostile.py [--binary .build/release/nearfar] [--seconds 60] [--only headers|body|read|idle|bomb|announced|handshakes|noise]

headers, body, read  slowhttptest (Debian) with 1,000 connections that send a head or a body byte by byte, or read an answer so
idle                 10,000 connections that say nothing
bomb                 gzip bodies that would decompress to a thousand times their size
announced            1,000 connections that announce bodies, 100 MB (which is allowed) or 1 GB (which is not), and send a little of them
handshakes           half of a TLS handshake on 1,000 connections, again and again; the normal client speaks TLS, too
noise                random bytes, alone and behind the beginning of a request

Meanwhile a normal client asks for /livez and posts one text to /embed in turn, on a kept connection and on new ones. It has to get 200 from
all of them, with a p99 below --p99 seconds for each route, and some seconds after the attack the service's resident memory has to be
within a tenth of what it was before. Ends with 1 when something is missed. Everything is on loopback and bounded in number and time.
"""

import argparse
import gzip
import http.client
import multiprocessing
import os
import random
import re
import resource
import selectors
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ATTACKS = ["headers", "body", "read", "idle", "bomb", "announced", "handshakes", "noise"]
TEXT = b'{"inputs": "what is near and what is far"}'
JSON_HEADERS = {"Content-Type": "application/json"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / ".build" / "release" / "nearfar")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--p99", type=float, default=0.25)
    parser.add_argument("--only", action="append", choices=ATTACKS)
    return parser.parse_args()


class Service:
    def __init__(self, options, folder, secured):
        command = [options.binary, "serve", "--port", "0", "--model", options.model, "--max-connections", "12000"]
        self.trust = None
        if secured:
            certificate, key = folder / "certificate.pem", folder / "key.pem"
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                check=True, capture_output=True)
            command += ["--tls-cert", certificate, "--tls-key", key]
            self.trust = ssl.create_default_context(cafile=certificate)
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if found := re.search(r"ready https?://127.0.0.1:(\d+)", line):
                self.port = int(found[1])
                return
        raise SystemExit("the service ended before it was ready")

    def connection(self):
        if self.trust:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.trust)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    @property
    def resident(self):
        """Bytes of resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


class NormalClient:
    """Requests in turn, on a kept connection and on new ones, with a short pause between them."""

    def __init__(self, service):
        self.service = service
        self.seconds = {"/livez": [], "/embed": []}
        self.errors = []
        self.isOver = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        kept = self.service.connection()
        number = 0
        while not self.isOver.is_set():
            path = "/livez" if number % 2 == 0 else "/embed"
            isKept = number % 4 < 2
            connection = kept if isKept else self.service.connection()
            began = time.perf_counter()
            try:
                if path == "/livez":
                    connection.request("GET", path)
                else:
                    connection.request("POST", path, TEXT, JSON_HEADERS)
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    self.errors.append(f"{path}: {response.status}")
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(f"{path}: {error!r}")
                connection.close()
            self.seconds[path].append(time.perf_counter() - began)
            if not isKept:
                connection.close()
            number += 1
            time.sleep(0.01)
        kept.close()

    def stop(self):
        self.isOver.set()
        self.thread.join()

    def p99(self, path):
        ordered = sorted(self.seconds[path])
        return ordered[int(0.99 * (len(ordered) - 1))] if ordered else float("nan")


def open_socket(port):
    """A connection that is under way; nothing is waited for."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex(("127.0.0.1", port))
    return connection


def keep_open(port, count, seconds, first_bytes, more):
    """Holds `count` connections for `seconds`: each sends first_bytes(), then more() now and then, and is opened again when it is closed."""
    watched = selectors.DefaultSelector()
    end = time.monotonic() + seconds
    greeted = set()

    def add():
        connection = open_socket(port)
        watched.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)

    opened = 0
    while time.monotonic() < end:
        for _ in range(min(200, count - len(watched.get_map()))):
            add()
            opened += 1
        for key, events in watched.select(timeout=0.05):
            connection = key.fileobj
            try:
                if connection not in greeted:
                    connection.send(first_bytes())
                    greeted.add(connection)
                    watched.modify(connection, selectors.EVENT_READ)
                elif events & selectors.EVENT_READ and not connection.recv(65536):
                    raise ConnectionError
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                greeted.discard(connection)
                watched.unregister(connection)
                connection.close()
        if more:
            for connection in random.sample(sorted(greeted, key=id), min(50, len(greeted))):
                try:
                    connection.send(more())
                except OSError:
                    pass
        time.sleep(0.02)
    for key in list(watched.get_map().values()):
        key.fileobj.close()
    return opened


def bombs(port, seconds):
    """Posts bodies that decompress to a thousand times their size, on four connections at a time."""
    bomb = gzip.compress(b'{"inputs": "' + b" " * 100_000_000 + b'"}', 9)
    end = time.monotonic() + seconds
    count = [0]

    def work():
        while time.monotonic() < end:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                connection.request("POST", "/embed", bomb, JSON_HEADERS | {"Content-Encoding": "gzip"})
                response = connection.getresponse()
                response.read()
                if response.status == 413:
                    count[0] += 1
            except (OSError, http.client.HTTPException):
                pass
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count[0]


def announcement():
    size = random.choice([100_000_000, 1_000_000_000])
    return f"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode() + b'{"inputs": "'


def half_handshake():
    """The beginning of what a client of TLS says first."""
    sent, _ = ssl.MemoryBIO(), None
    tunnel = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    try:
        tunnel.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = sent.read()
    return hello[: random.choice([1, 5, len(hello) // 2, len(hello)])]


def noise():
    start = random.choice([b"", b"POST /embed HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n", b"\x16\x03\x01"])
    return start + os.urandom(random.choice([1, 100, 4000]))


def slow(kind, port, seconds):
    """slowhttptest, which goes on opening connections until its time is over."""
    url = f"http://127.0.0.1:{port}"
    common = ["-c", "1000", "-r", "300", "-l", str(int(seconds)), "-p", "5"]
    command = {
        "headers": ["-H", "-i", "3", "-x", "24", "-u", f"{url}/livez"],
        "body": ["-B", "-i", "3", "-s", "8192", "-x", "10", "-t", "POST", "-f", "application/json", "-u", f"{url}/embed"],
        "read": ["-X", "-w", "512", "-y", "1024", "-n", "3", "-z", "32", "-k", "3", "-u", f"{url}/openapi.yaml"],
    }[kind]
    # It ends by itself when the service has closed all of its connections, and is started again then.
    end = time.monotonic() + seconds
    runs = 0
    while time.monotonic() < end - 1:
        common[5] = str(max(1, int(end - time.monotonic())))
        subprocess.run(["slowhttptest", *common, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=seconds + 60)
        runs += 1
    return runs


def attack(kind, port, seconds):
    if kind in ("headers", "body", "read"):
        slow(kind, port, seconds)
    elif kind == "idle":
        keep_open(port, 10_000, seconds, lambda: b"", None)
    elif kind == "bomb":
        if bombs(port, seconds) == 0:
            sys.exit("no bomb was answered 413")
    elif kind == "announced":
        keep_open(port, 1_000, seconds, announcement, lambda: b"a" * 1000)
    elif kind == "handshakes":
        keep_open(port, 1_000, seconds, half_handshake, None)
    else:
        keep_open(port, 200, seconds, noise, noise)


def memory_after(service, before):
    """Resident memory once connections have run into their timeouts; it is looked at for up to 40 s."""
    for _ in range(40):
        time.sleep(1)
        after = service.resident
        if after <= 1.1 * before:
            break
    return after


def trial(kind, options, folder):
    service = Service(options, folder, secured=kind == "handshakes")
    try:
        # What the first requests allocate for good belongs to the state before.
        warm = NormalClient(service)
        time.sleep(3)
        warm.stop()
        before = service.resident
        attacker = multiprocessing.Process(target=attack, args=(kind, service.port, options.seconds))
        client = NormalClient(service)
        attacker.start()
        peak = before
        while attacker.is_alive():
            peak = max(peak, service.resident)
            attacker.join(0.2)
        client.stop()
        after = memory_after(service, before)
    finally:
        service.stop()
    count = sum(map(len, client.seconds.values()))
    livez, embed = client.p99("/livez"), client.p99("/embed")
    isGood = (not client.errors and livez < options.p99 and embed < options.p99 and after <= 1.1 * before
              and attacker.exitcode == 0 and count > 10)
    print(f"{kind:<11}{count:>9}{len(client.errors):>8}{1000 * livez:>11.1f}{1000 * embed:>11.1f}"
          f"{before / 1e6:>9.1f}{peak / 1e6:>9.1f}{after / 1e6:>9.1f}  {'met' if isGood else 'MISSED'}", flush=True)
    for error in sorted(set(client.errors))[:5]:
        print(f"           {client.errors.count(error)} x {error}")
    return isGood


def main():
    options = arguments()
    if not shutil.which("slowhttptest"):
        sys.exit("slowhttptest is not installed: scripts/deps.sh bench")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    print(f"{options.seconds:.0f} s each                     p99 in ms          resident memory in MB")
    print("attack      requests  errors     /livez     /embed   before     peak    after", flush=True)
    missed = 0
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        for kind in options.only or ATTACKS:
            missed += not trial(kind, options, Path(folder))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
