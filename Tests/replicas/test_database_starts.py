"""Starts with a database that asks for a password and for TLS: with both it works, and otherwise the reason is told at once."""

import json
import os
import shutil
import subprocess
import time

import pytest
import trustme
from database import Database
from replica import BINARY, MODEL, Replica, ask, environment

PASSWORD = "Ver5chlossen.Kiste"


def start(url: str, variables: dict[str, str] | None = None, seconds: float = 25) -> tuple[int, str]:
    """The exit status and the log of a start that has to fail."""
    command = [BINARY, "serve", "--port", "0", "--threads", "1", "--model", MODEL]
    done = subprocess.run(
        command, env=environment({"NEARFAR_STORE": url, **(variables or {})}), capture_output=True, text=True, timeout=seconds)
    assert PASSWORD not in done.stdout + done.stderr
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A database on 127.0.0.1 that asks for a password and for TLS, and the certificate of its authority."""
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    database = Database(listens=True)
    data = database.folder / "data"
    server.private_key_pem.write_to_path(data / "server.key")
    (data / "server.crt").write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    os.chmod(data / "server.key", 0o600)
    if os.getuid() == 0:
        shutil.chown(data / "server.key", "nobody", "nogroup")
    database.ask(f"CREATE ROLE service LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE postgres TO service")
    database.allow("hostssl all service 127.0.0.1/32 scram-sha-256", "host all all 0.0.0.0/0 reject")
    database.ask("ALTER SYSTEM SET ssl = on")
    database.restart("fast")
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    yield database, folder
    database.remove()


def address(database: Database, password: str, options: str) -> str:
    return f"postgresql://service:{password}@127.0.0.1:{database.port}/postgres?{options}"


def test_a_wrong_password_ends_the_start_at_once(guarded):
    database, _ = guarded
    began = time.monotonic()
    status, log = start(address(database, PASSWORD + "x", "sslmode=require"))
    assert status == 1 and "password authentication failed" in log, log
    assert time.monotonic() - began < 10


def test_tls_is_required(guarded):
    database, folder = guarded
    status, log = start(address(database, PASSWORD, "sslmode=disable"))
    assert status == 1 and "no encryption" in log, log
    status, log = start(address(database, PASSWORD, f"sslmode=verify-full&sslrootcert={folder}/other.pem"), seconds=60)
    assert status == 1 and "certificate verify failed" in log, log


def test_tls_with_a_checked_certificate(guarded):
    database, folder = guarded
    url = address(database, PASSWORD, "sslmode=verify-full")
    with Replica(url, variables={"PGSSLROOTCERT": str(folder / "ca.pem")}) as replica:
        assert ask(replica.port, "PUT", "/collections/tls", {"dim": 2, "metric": "cosine"})[0] == 201
        status, _, content = ask(replica.port, "PUT", "/collections/tls/points", {"points": [{"id": "a", "vector": [1, 2]}]})
        assert status == 200 and json.loads(content) == {"version": 1, "upserted": 1}
        used = database.ask("SELECT count(*), bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'service'")
        count, encrypted = used.split("|")
        assert int(count) >= 2 and encrypted == "t"
        log = replica.errors()
    assert PASSWORD not in log and "service:***@127.0.0.1" in log, log
