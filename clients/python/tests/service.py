"""A running `nearfar serve`: the program that NEARFAR_TEST_BINARY names, or else the release build of this source tree."""

import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BINARY = os.environ.get("NEARFAR_TEST_BINARY", str(ROOT / ".build" / "release" / "nearfar"))
MODEL = os.environ.get("NEARFAR_TEST_MODEL", str(ROOT / "models" / "all-MiniLM-L6-v2"))


class Service:
    def __init__(self, *flags):
        # Settings for another server and proxies must not affect the tests.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NEARFAR_")}
        self._log = tempfile.TemporaryFile()
        command = [BINARY, "serve", "--port", "0", "--model", MODEL, *flags]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True, env=kept)
        watchdog = threading.Timer(120, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        ready = re.fullmatch(r"nearfar ready (http://127\.0\.0\.1:\d+)\s*", line)
        if not ready:
            self._process.kill()
            raise AssertionError(f"{BINARY} is not ready but says {line!r}: {self._errors()}")
        self.url = ready[1]

    def _errors(self):
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-2000:]

    def stop(self):
        self._process.terminate()
        try:
            code = self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._process.stdout.close()
        assert code == 0, f"exit code {code}: {self._errors()}"
