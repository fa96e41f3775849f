"""A PostgreSQL server for tests, on a socket in a temporary folder."""

import shutil
import subprocess
import tempfile

from process import ROOT

SCRIPT = str(ROOT / "scripts" / "test-database.sh")


class Database:
    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="nearfar-database-")
        self.url = self._script("start").strip()

    def _script(self, what: str) -> str:
        return subprocess.run([SCRIPT, what, self.folder], check=True, capture_output=True, text=True, timeout=120).stdout

    def start(self) -> None:
        self._script("start")

    def stop(self) -> None:
        """Ends it as a crash would."""
        self._script("stop")

    def run(self, sql: str) -> str:
        """The answer's values, a line for each row."""
        command = ["psql", "-XAtqv", "ON_ERROR_STOP=1", "-c", sql, self.url]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_) -> None:
        subprocess.run([SCRIPT, "stop", self.folder], capture_output=True, timeout=120)
        shutil.rmtree(self.folder, ignore_errors=True)
