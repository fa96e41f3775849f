"""A PostgreSQL server for tests: scripts/test-database.sh starts it, and here it is set, stopped, started anew and asked."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "scripts" / "test-database.sh")


def programs() -> Path:
    """The folder of PostgreSQL's own programs: the newest of Debian's, as in test-database.sh."""
    given = os.environ.get("NEARFAR_TEST_POSTGRESQL")
    if given:
        return Path(given)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: [int(n) for n in path.parent.name.split(".")])
    assert found, "there is no PostgreSQL: scripts/deps.sh database"
    return found[-1]


def as_user(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return command
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        return made.getsockname()[1]


class Database:
    """A server on a socket in a folder of its own, and on 127.0.0.1 where `listens` is set."""

    def __init__(self, listens: bool = False, settings: list[str] | None = None) -> None:
        # Short, because the path of a socket may have 107 bytes; of everybody, because the server runs as another user.
        self.folder = Path(tempfile.mkdtemp(prefix="nfpg"))
        os.chmod(self.folder, 0o755)
        self.port = free_port()
        self._script("start")
        lines = [f"port = {self.port}", *(settings or [])]
        lines += ["listen_addresses = '127.0.0.1'"] if listens else []
        with open(self.folder / "data" / "postgresql.conf", "a") as file:
            file.write("".join(line + "\n" for line in lines))
        self.stop("fast")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://nearfar@/postgres?host={self.folder}&port={self.port}"

    @property
    def socket_path(self) -> str:
        return f"{self.folder}/.s.PGSQL.{self.port}"

    def _script(self, action: str) -> None:
        # Without pipes, which the server would inherit.
        subprocess.run([SCRIPT, action, str(self.folder)], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def control(self, *arguments: str) -> None:
        """Runs pg_ctl."""
        command = [str(programs() / "pg_ctl"), "--pgdata", "data", "--log", "server.log", "--wait", "--timeout", "60", *arguments]
        subprocess.run(
            as_user(command), cwd=self.folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def start(self) -> None:
        self.control("start")

    def stop(self, mode: str = "immediate") -> None:
        self.control("stop", "-m", mode)

    def restart(self, mode: str = "immediate") -> None:
        self.control("restart", "-m", mode)

    def base_backup(self, standby: bool = False) -> "Database":
        """Another server, started from a copy of this one's files that is taken while it runs; as a standby it goes on to follow it."""
        copy = Database.__new__(Database)
        copy.folder, copy.port = Path(tempfile.mkdtemp(prefix="nfpg")), free_port()
        os.chmod(copy.folder, 0o755)
        if os.getuid() == 0:
            shutil.chown(copy.folder, "nobody", "nogroup")
        command = [
            str(programs() / "pg_basebackup"), "--host", str(self.folder), "--port", str(self.port), "--username", "nearfar", "--pgdata",
            str(copy.folder / "data"), "--wal-method=stream", "--checkpoint=fast"]
        subprocess.run(as_user(command), check=True, cwd=copy.folder, capture_output=True, timeout=60)
        with open(copy.folder / "data" / "postgresql.conf", "a") as file:
            file.write(f"port = {copy.port}\nunix_socket_directories = '{copy.folder}'\n")
            if standby:
                file.write(f"primary_conninfo = 'host={self.folder} port={self.port} user=nearfar'\n")
                (copy.folder / "data" / "standby.signal").touch()
        copy.start()
        return copy

    def dump(self) -> str:
        """The tables of the service as statements (pg_dump)."""
        command = [
            str(programs() / "pg_dump"), "--host", str(self.folder), "--port", str(self.port), "--username", "nearfar", "--schema=nearfar",
            "postgres"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def restore(self, dump: str) -> None:
        """Runs the statements of a dump, in one transaction."""
        subprocess.run(self._psql("--single-transaction", "-f", "-"), check=True, input=dump, text=True, capture_output=True, timeout=60)

    def remove(self) -> None:
        """Ends the server and deletes its folder."""
        try:
            self.stop("immediate")
        except subprocess.CalledProcessError:
            pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def session(self) -> subprocess.Popen:
        """A psql that takes statements on its standard input; its standard output is read by `Lock` alone."""
        return subprocess.Popen(
            self._psql("-f", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _psql(self, *arguments: str) -> list[str]:
        return [
            "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-p", str(self.port), "-U", "nearfar",
            "-d", "postgres", *arguments]

    def ask(self, statement: str) -> str:
        """Runs statements as the superuser, over the socket; returns their rows."""
        done = subprocess.run(self._psql("-c", statement), capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.strip()

    def set(self, name: str, value: str | None) -> None:
        """Changes a setting of the server for all sessions, or takes the change back."""
        self.ask(f"ALTER SYSTEM RESET {name}" if value is None else f"ALTER SYSTEM SET {name} = {value}")
        self.ask("SELECT pg_reload_conf()")
        # Sessions read the file when the signal has reached them.
        time.sleep(0.1)

    def allow(self, *lines: str) -> None:
        """Puts lines before those of pg_hba.conf."""
        path = self.folder / "data" / "pg_hba.conf"
        path.write_text("".join(line + "\n" for line in lines) + path.read_text())
        self.ask("SELECT pg_reload_conf()")
        time.sleep(0.2)

    def backends(self, name: str) -> list[int]:
        """The process numbers of the sessions of this application name."""
        rows = self.ask(f"SELECT pid FROM pg_stat_activity WHERE application_name = '{name}' ORDER BY pid")
        return [int(row) for row in rows.split()]

    def terminate(self, name: str) -> int:
        """Ends the sessions of this application name; returns how many."""
        return int(self.ask(self._ending(name)))

    @staticmethod
    def _ending(name: str) -> str:
        return f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '{name}'"

    def ender(self, name: str):
        """A function that ends the sessions of this application name without first making a session itself."""
        session = self.session()
        session.stdin.write("SELECT 1;\n")
        session.stdin.flush()
        session.stdout.readline()

        def end() -> None:
            session.communicate(self._ending(name) + ";\n", timeout=30)

        return end


class Lock:
    """A transaction of psql that holds what its statements lock, until it is released."""

    def __init__(self, database: Database, *statements: str) -> None:
        self.session = database.session()
        self.session.stdin.write("BEGIN;\n" + "".join(f"{each};\n" for each in statements) + "\\echo held\n")
        self.session.stdin.flush()
        line = self.session.stdout.readline()
        while line and line.strip() != "held":
            line = self.session.stdout.readline()
        assert line, self.session.stderr.read()

    def send(self, statement: str) -> None:
        """Sends a further statement without waiting for it."""
        self.session.stdin.write(statement + ";\n")
        self.session.stdin.flush()

    def release(self, how: str = "ROLLBACK") -> None:
        try:
            self.session.communicate(f"{how};\n", timeout=30)
        except BrokenPipeError:
            # psql has ended, because a statement failed.
            self.session.wait(30)
