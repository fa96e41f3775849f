"""A running `nearfar serve`, started and stopped as an operator would do it."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("NEARFAR_TEST_BINARY", str(ROOT / ".build" / "release" / "nearfar"))
MODEL = os.environ.get("NEARFAR_TEST_MODEL", str(ROOT / "models" / "all-MiniLM-L6-v2"))
READY = re.compile(r"nearfar ready (https?)://127\.0\.0\.1:(\d+)\s*")


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of this process without NEARFAR_… variables, so that only those of a test have an effect."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEARFAR_")}
    # A test may leave work in flight that a slow machine takes long for; tests of the drain itself have their own time.
    # Golden values are those of f32, whatever the processor does best.
    return {**kept, "NEARFAR_DRAIN_TIMEOUT": "60", "NEARFAR_PRECISION": "f32", **(extra or {})}


class Server:
    """A server process, its address, and what it printed."""

    def __init__(self, *flags: str, environment: dict[str, str] | None = None, model: str | None = MODEL) -> None:
        command = [BINARY, "serve", *flags]
        if "--port" not in flags and "NEARFAR_PORT" not in (environment or {}):
            command += ["--port", "0"]
        if model is not None:
            command += ["--model", model]
        self.log = tempfile.TemporaryFile()
        # The two processes share the position in the file: without this, reading it would let the server write over its lines.
        fcntl.fcntl(self.log, fcntl.F_SETFL, fcntl.fcntl(self.log, fcntl.F_GETFL) | os.O_APPEND)
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=clean_environment(environment)
        )
        watchdog = threading.Timer(120, self.process.kill)
        watchdog.start()
        self.lines: list[str] = []
        port = None
        for line in self.process.stdout:
            self.lines.append(line)
            ready = READY.fullmatch(line)
            if ready:
                scheme, port = ready[1], int(ready[2])
                break
        watchdog.cancel()
        if port is None:
            code = self.process.wait()
            raise AssertionError(f"the server ended with {code} before it was ready: {self.errors()[-2000:]}")
        # Somebody has to read the pipe, or the server would block once it is full.
        threading.Thread(target=self._drain, daemon=True).start()
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.session = requests.Session()
        # Proxy settings and a .netrc of the machine must not affect the requests.
        self.session.trust_env = False

    def _drain(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line)

    def errors(self) -> str:
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def request(self, method: str, path: str, **options) -> requests.Response:
        options.setdefault("timeout", 120)
        return self.session.request(method, self.url + path, **options)

    def get(self, path: str, **options) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, body, **options) -> requests.Response:
        return self.request("POST", path, json=body, **options)

    def put(self, path: str, body, **options) -> requests.Response:
        return self.request("PUT", path, json=body, **options)

    def delete(self, path: str, **options) -> requests.Response:
        return self.request("DELETE", path, **options)

    def ask(self, path: str, body, status: int = 200):
        """Sends a POST that must succeed, and returns the parsed answer."""
        response = self.post(path, body)
        assert response.status_code == status, response.text[:2000]
        return response.json()

    def raw(self, request: bytes, until_closed: bool = False) -> bytes:
        """Sends bytes on a connection of their own, for requests that no client library would send; returns the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
                head, found, body = answer.partition(b"\r\n\r\n")
                length = re.search(rb"(?im)^content-length:\s*(\d+)\s*$", head)
                if found and not until_closed and length and len(body) >= int(length[1]):
                    break
            return answer

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 60) -> int:
        return self.process.wait(seconds)

    def stop(self) -> int:
        """Sends SIGTERM and returns the exit code. A server that does not end in time is killed, and the code is -9."""
        self.session.close()
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, kind, *rest) -> None:
        code = self.stop()
        # When the test has failed already, its failure must not be hidden by this one.
        assert kind is not None or code == 0, f"exit code {code}: {self.errors()[-2000:]}"


def run_to_the_end(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Runs a command that is expected to end by itself, and returns its exit code and everything it printed."""
    done = subprocess.run(
        [BINARY, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        env=clean_environment(environment),
    )
    return done.returncode, done.stdout


def wait_until(condition, seconds: float = 10, pause: float = 0.01) -> bool:
    """Waits until the condition holds and returns True, or False when it does not hold in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(pause)
    return False
