"""A PostgreSQL server for the tests of one module, with a database of its own for each test."""

import itertools
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "test-database.sh"


class DatabaseServer:
    """A server in a folder, without TCP."""

    def __init__(self, folder: Path) -> None:
        # The server runs as another user, who must reach its folder.
        for parent in (folder, *folder.parents):
            if parent.stat().st_mode & 0o001 == 0:
                parent.chmod(parent.stat().st_mode | 0o011)
        self.folder = folder
        self.url = self._script("start").strip()
        self._numbers = itertools.count()

    def _script(self, what: str) -> str:
        done = subprocess.run([SCRIPT, what, self.folder], stdout=subprocess.PIPE, text=True, timeout=120, check=True)
        return done.stdout

    def create(self) -> "Database":
        name = f"test{next(self._numbers)}"
        Database(self.url).run(f"CREATE DATABASE {name}")
        return Database(self.url.replace("/postgres?", f"/{name}?"))

    def stop(self) -> None:
        self._script("stop")


class Database:
    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, sql: str) -> str:
        """Runs SQL and returns its rows, a line for each, with | between the columns."""
        command = ["psql", "-XAtqv", "ON_ERROR_STOP=1", "-c", sql, self.url]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip("\n")
