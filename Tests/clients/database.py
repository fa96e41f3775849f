"""A PostgreSQL server for tests, on a socket in a folder."""

import itertools
import shutil
import subprocess
import tempfile
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "test-database.sh"


class Database:
    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, sql: str) -> str:
        """Runs SQL and returns its rows, a line for each, with | between the columns."""
        command = ["psql", "-XAtqv", "ON_ERROR_STOP=1", "-c", sql, self.url]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip("\n")


class DatabaseServer(Database):
    """A server without TCP, and its first database. Without a folder it has a temporary one."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="nearfar-database-"))
        # The server runs as another user, who must reach its folder.
        for parent in (self.folder, *self.folder.parents):
            if parent.stat().st_mode & 0o001 == 0:
                parent.chmod(parent.stat().st_mode | 0o011)
        super().__init__(self._script("start").strip())
        self._numbers = itertools.count()

    def _script(self, what: str) -> str:
        done = subprocess.run([SCRIPT, what, self.folder], stdout=subprocess.PIPE, text=True, timeout=120, check=True)
        return done.stdout

    def create(self) -> Database:
        """A further database."""
        name = f"test{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return Database(self.url.replace("/postgres?", f"/{name}?"))

    def start(self) -> None:
        self._script("start")

    def stop(self) -> None:
        """Ends it as a crash would."""
        self._script("stop")

    def __enter__(self) -> "DatabaseServer":
        return self

    def __exit__(self, *_) -> None:
        subprocess.run([SCRIPT, "stop", self.folder], capture_output=True, timeout=120)
        shutil.rmtree(self.folder, ignore_errors=True)
