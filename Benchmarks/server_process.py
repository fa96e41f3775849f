"""A `nearfar serve` that a benchmark starts, waits for, and stops."""

import re
import signal
import subprocess
import tempfile
import threading


class Refused(Exception):
    """The server ended before it was ready. The message is what it said."""


class ServerProcess:
    """Started with the given command. `port` is where it answers."""

    def __init__(self, command: list[str], start_seconds: float = 120) -> None:
        # In a file, because a pipe that nobody reads would block the server once it is full.
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        self.port = self._ready_port(start_seconds)
        if self.port is None:
            self.process.kill()
            self.process.wait()
            raise Refused(self.complaint())
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def _ready_port(self, seconds: float) -> int | None:
        watchdog = threading.Timer(seconds, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stdout:
                ready = re.fullmatch(rb"nearfar ready http://127\.0\.0\.1:(\d+)\s*", line)
                if ready:
                    return int(ready[1])
        finally:
            watchdog.cancel()
        return None

    def complaint(self) -> str:
        """The line in which the server says why it ended: the first in its own name, or else the last of the log."""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").splitlines()
        own = [line.removeprefix("nearfar: ") for line in lines if line.startswith("nearfar: ")]
        return own[0] if own else lines[-1] if lines else "it said nothing"

    def stop(self) -> None:
        """Sends SIGTERM, and SIGKILL when that is not enough, so that no server is left behind."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
