"""What can stand between the service and its database: a proxy that does things to a session, and a pool of sessions."""

import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile

from proxy import Proxy


class Tap(Proxy):
    """Carries messages to and from a database's socket. Between two transactions it can run a statement in every session, of which the
    client does not learn. Notifications come with the next answer."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.statement = b""
        # Sessions in which the statement has been run, those in which it is still to be run, and all.
        self.touched = 0
        self.waiting: set[int] = set()
        self.open: set[int] = set()
        super().__init__(str(folder / ".s.PGSQL.5432"))

    @property
    def url(self) -> str:
        return super().url + "?sslmode=disable&gssencmode=disable"

    def run(self, statement: str) -> None:
        """Before the next transaction of each session that is open now."""
        with self.lock:
            self.statement, self.touched = statement.encode(), 0
            self.waiting = set(self.open)

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.path)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._carry(client, server)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(id(client))
            client.close()
            server.close()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        """Each side in turn, since the service waits for the end of each transaction before it sends another."""
        server.sendall(client.recv(1 << 16))
        status = self._until_ready(server, client)
        with self.lock:
            self.open.add(id(client))
        while request := client.recv(1 << 16):
            with self.lock:
                is_due = status == b"I" and id(client) in self.waiting
                if is_due:
                    self.waiting.discard(id(client))
                statement = self.statement
            if is_due:
                server.sendall(b"Q" + struct.pack("!i", len(statement) + 5) + statement + b"\0")
                self._until_ready(server, None)
                with self.lock:
                    self.touched += 1
            # A request may come in parts; it ends with Sync, Query or Terminate.
            while not self._is_whole(request):
                request += client.recv(1 << 16)
            server.sendall(request)
            if request[:1] == b"X":
                return
            status = self._until_ready(server, client)

    @staticmethod
    def _is_whole(request: bytes) -> bool:
        place, last = 0, b""
        while place + 5 <= len(request):
            last = request[place : place + 1]
            place += 1 + struct.unpack_from("!i", request, place + 1)[0]
        return place == len(request) and last in (b"S", b"Q", b"X")

    @staticmethod
    def _until_ready(server: socket.socket, client: socket.socket | None) -> bytes:
        """Carries an answer, and returns the state of the transaction: I where there is none."""
        pending = b""
        while True:
            piece = server.recv(1 << 16)
            if not piece:
                raise OSError("the database has gone")
            if client:
                client.sendall(piece)
            pending += piece
            while len(pending) >= 5:
                length = 1 + struct.unpack_from("!i", pending, 1)[0]
                if len(pending) < length:
                    break
                message, pending = pending[:length], pending[length:]
                if message[:1] == b"Z":
                    return message[5:6]


class Pool:
    """pgbouncer in transaction mode, with fewer sessions than the service has connections."""

    def __init__(self, folder: pathlib.Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nearfar-pool-", dir="/tmp"))
        (self.folder / "users").write_text('"nearfar" ""\n')
        (self.folder / "pgbouncer.ini").write_text(
            f"""[databases]
postgres = host={folder} port=5432 dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {self.folder}/users
pool_mode = transaction
default_pool_size = 2
logfile = {self.folder}/log
""")
        # It refuses to run as root, as PostgreSQL does.
        other: list[str] = []
        if os.getuid() == 0:
            other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, "nobody", "nogroup")
        program = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        assert program, "there is no pgbouncer: scripts/deps.sh database"
        command = [*other, program, str(self.folder / "pgbouncer.ini")]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"postgresql://nearfar@127.0.0.1:{port}/postgres"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
