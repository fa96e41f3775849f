"""Replicas of the service, and the balancer in front of them, as processes that can be killed, stalled and started again."""

import http.client
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from database import ROOT, free_port

BINARY = os.environ.get("NEARFAR_TEST_BINARY", str(ROOT / ".build" / "release" / "nearfar"))
MODEL = os.environ.get("NEARFAR_TEST_MODEL", str(ROOT / "models" / "all-MiniLM-L6-v2"))
START_SECONDS = 60


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of this process without NEARFAR_… and PG… variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NEARFAR_", "PG"))}
    return {**kept, **(extra or {})}


def ask(port: int, method: str, path: str, body=None, headers: dict | None = None, seconds: float = 30):
    """(status, header fields, body) of a request on a connection of its own. Raises OSError or HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        text = None if body is None else json.dumps(body)
        kind = {} if text is None else {"Content-Type": "application/json"}
        connection.request(method, path, text, {**kind, **(headers or {})})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def all_points(port: int, path: str, strong: bool = False) -> dict[str, dict]:
    """Every point of the collection at `path`, by id, without fields that are null."""
    found, after = {}, ""
    while after is not None:
        query = "limit=500" + (f"&after={after}" if after else "") + ("&consistency=strong" if strong else "")
        status, _, content = ask(port, "GET", f"{path}/points?{query}")
        assert status == 200, content
        page = json.loads(content)
        found |= {point["id"]: {key: value for key, value in point.items() if value is not None} for point in page["points"]}
        after = page["next_after"]
    return found


class Replica:
    """One `nearfar serve` with --store, always on the same port. The log of all its starts is in one file."""

    def __init__(self, store: str, *flags: str, variables: dict[str, str] | None = None, start: bool = True) -> None:
        self.port = free_port()
        self.variables = {"NEARFAR_STORE": store, **(variables or {})}
        self.command = [
            BINARY, "serve", "--port", str(self.port), "--threads", "1", "--model", MODEL, "--precision", "f32", *flags]
        self.log = tempfile.NamedTemporaryFile(prefix="nearfar-replica-", suffix=".log")
        self.process: subprocess.Popen | None = None
        if start:
            self.start()
            self.wait_ready()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment(self.variables))

    def is_ready(self) -> bool:
        try:
            return ask(self.port, "GET", "/readyz", seconds=2)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            assert self.process.poll() is None, f"the replica ended with {self.process.returncode}: {self.errors()[-2000:]}"
            assert time.monotonic() < deadline, f"the replica is not ready after {seconds} s: {self.errors()[-2000:]}"
            time.sleep(0.05)

    def errors(self) -> str:
        return Path(self.log.name).read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stall(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """Sends SIGTERM and returns the exit code."""
        if self.process is None or self.process.poll() is not None:
            return -1
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.stop()


class Balancer:
    """HAProxy with deploy/haproxy.cfg in front of three replicas."""

    def __init__(self, ports: list[int]) -> None:
        self.port = free_port()
        names = {f"NEARFAR_REPLICA_{name}": f"127.0.0.1:{port}" for name, port in zip("ABC", ports, strict=True)}
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        self.log = tempfile.NamedTemporaryFile(prefix="nearfar-balancer-", suffix=".log")
        self.process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(ROOT / "deploy" / "haproxy.cfg")], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, env=environment({"NEARFAR_BIND": f"127.0.0.1:{self.port}", "PATH": path, **names}))
        deadline = time.monotonic() + 20
        while True:
            try:
                if ask(self.port, "GET", "/readyz", seconds=2)[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            assert time.monotonic() < deadline, Path(self.log.name).read_text()[-2000:]
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
