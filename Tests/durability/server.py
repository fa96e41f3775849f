"""Starts and kills `nearfar serve` and sends requests to it, using only the standard library."""

import http.client
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = os.environ.get("NEARFAR_TEST_MODEL", str(ROOT / "models" / "all-MiniLM-L6-v2"))
START_SECONDS = 120


class StartFailed(Exception):
    """The server ended before it was ready. `text` is what it printed."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"exit {code}: {text}")
        self.code = code
        self.text = text


def environment() -> dict[str, str]:
    """The environment of this process without NEARFAR_… variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NEARFAR_")}


def check(binary: str, data: str) -> tuple[int, list[str], str]:
    """Runs `nearfar check`; returns its exit code, the lines of its output, and its standard error."""
    command = [binary, "check", "--data", data]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=START_SECONDS)
    return done.returncode, done.stdout.splitlines(), done.stderr


class Client:
    """A client with one connection, which is opened again after it broke."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body=None) -> tuple[int, dict]:
        """Returns the status and the parsed answer. Raises OSError or HTTPException when there is no answer."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            text = None if body is None else json.dumps(body)
            self.connection.request(method, path, text, {} if text is None else {"Content-Type": "application/json"})
            response = self.connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        return response.status, json.loads(content) if content else {}

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Server:
    def __init__(
        self, binary: str, data: str, prepare=None, user: int | None = None, low_memory: bool = False
    ) -> None:
        command = [binary, "serve", "--port", "0", "--data", data, "--model", MODEL, "--threads", "2"]
        command += ["--low-memory"] if low_memory else []
        # restore_signals is off because it would reset SIGXFSZ, which `prepare` may have set to be ignored.
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
            preexec_fn=prepare, restore_signals=False, user=user,
        )
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read_errors, daemon=True)
        self.reader.start()
        watchdog = threading.Timer(START_SECONDS, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        if not line.startswith("nearfar ready http://127.0.0.1:"):
            code = self.process.wait()
            self.reader.join(10)
            raise StartFailed(code, "".join(self.lines))
        self.port = int(line.rsplit(":", 1)[1])

    def _read_errors(self) -> None:
        for line in self.process.stderr:
            self.lines.append(line)

    def client(self) -> Client:
        return Client(self.port)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Sends SIGTERM and returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9
