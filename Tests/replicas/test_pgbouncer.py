"""Replicas whose connections go through pgbouncer in transaction mode, which gives each transaction another session of the database."""

import json
import os
import shutil
import subprocess
import time

import pytest
from database import Database, as_user, free_port
from replica import Replica, all_points, ask

PATH = "/collections/pooled"
# What a replica says where another one's changes are not announced to it.
NOT_NOTIFIED = "notifications do not arrive from the database"


class Pool:
    """pgbouncer in front of a database, with fewer sessions than the replicas have connections."""

    def __init__(self, database: Database) -> None:
        self.port = free_port()
        folder = database.folder / "pool"
        folder.mkdir()
        (folder / "users").write_text('"nearfar" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"""[databases]
postgres = host={database.folder} port={database.port} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 2
server_reset_query_always = 1
server_reset_query = DISCARD ALL
logfile = {folder}/log
""")
        if os.getuid() == 0:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, "nobody", "nogroup")
        self.folder = folder
        program = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        assert program, "there is no pgbouncer: scripts/deps.sh database"
        self.command = as_user([program, str(folder / "pgbouncer.ini")])
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://nearfar@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def pooled():
    database = Database()
    pool = Pool(database)
    replicas = [Replica(pool.url, "--store-listen", database.url) for _ in range(2)]
    yield database, pool, replicas
    for replica in replicas:
        replica.stop()
    pool.stop()
    database.remove()


def put(replica: Replica, ids: list[str], value: float, **fields: str):
    points = [{"id": identity, "vector": [value, 1.0]} for identity in ids]
    return ask(replica.port, "PUT", f"{PATH}/points", {"points": points}, fields)


def assert_not_notified(replica: Replica) -> None:
    deadline = time.monotonic() + 10
    while NOT_NOTIFIED not in replica.errors() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert replica.errors().count(NOT_NOTIFIED) == 1


def test_writes_reads_and_follows(pooled):
    database, _, replicas = pooled
    status, _, answer = ask(replicas[0].port, "PUT", PATH, {"dim": 2, "metric": "cosine"})
    assert status == 201, answer
    wanted = {}
    lags = []
    for number in range(60):
        ids = [f"{number}.{n}" for n in range(1 + number % 5)]
        status, headers, content = put(replicas[number % 2], ids, number, **{"Idempotency-Key": f"key-{number}"})
        # The second replica may not know the collection yet when the first write comes.
        if number == 1 and status == 404:
            time.sleep(0.5)
            status, headers, content = put(replicas[1], ids, number, **{"Idempotency-Key": f"key-{number}"})
        assert status == 200, content
        assert json.loads(content)["version"] == number + 1
        wanted |= {identity: {"id": identity, "vector": [float(number), 1.0]} for identity in ids}
        other = replicas[(number + 1) % 2]
        began = time.monotonic()
        status, _, content = ask(other.port, "POST", f"{PATH}/points/count", {}, {"X-Nearfar-Min-Version": headers["X-Nearfar-Version"]})
        lags.append(time.monotonic() - began)
        assert status == 200 and json.loads(content) == {"version": number + 1, "count": len(wanted)}
    # Notifications come over the direct connection, so that nothing has to wait for the next look a quarter of a second later.
    assert sorted(lags)[len(lags) // 2] < 0.2, lags
    for number in (3, 17):
        ids = [f"{number}.{n}" for n in range(1 + number % 5)]
        status, _, content = put(replicas[(number + 1) % 2], ids, number, **{"Idempotency-Key": f"key-{number}"})
        assert status == 200 and json.loads(content)["version"] == number + 1
    status, _, content = ask(replicas[1].port, "POST", f"{PATH}/points/delete", {"ids": ["0.0", "59.0"]})
    assert status == 200 and json.loads(content) == {"version": 61, "deleted": 2}
    del wanted["0.0"], wanted["59.0"]
    for replica in replicas:
        assert all_points(replica.port, PATH, strong=True) == wanted
    # The pool has two sessions, and the replicas more connections than that.
    assert len(database.backends("nearfar writer")) + len(database.backends("nearfar reader")) <= 2


def test_a_pool_that_is_started_anew(pooled):
    _, pool, replicas = pooled
    before = json.loads(ask(replicas[0].port, "GET", PATH)[2])["version"]
    pool.stop()
    try:
        began = time.monotonic()
        status, _, content = put(replicas[0], ["again"], 5, **{"Idempotency-Key": "again"})
        assert status == 503 and json.loads(content)["status"] == 503 and time.monotonic() - began <= 2.3, content
        assert ask(replicas[0].port, "POST", f"{PATH}/points/count", {})[0] == 200
    finally:
        pool.start()
    deadline = time.monotonic() + 15
    while (answer := put(replicas[1], ["again"], 5, **{"Idempotency-Key": "again"}))[0] != 200:
        assert answer[0] == 503 and time.monotonic() < deadline, answer
        time.sleep(0.1)
    assert json.loads(answer[2])["version"] == before + 1


def test_a_start_through_the_pool(pooled):
    _, pool, replicas = pooled
    wanted = all_points(replicas[0].port, PATH, strong=True)
    with Replica(pool.url) as third:
        # Without a direct connection there are no notifications, and it looks by itself.
        assert all_points(third.port, PATH) == wanted
        status, headers, _ = put(replicas[0], ["late"], 1)
        assert status == 200
        token = {"X-Nearfar-Min-Version": headers["X-Nearfar-Version"]}
        status, _, content = ask(third.port, "POST", f"{PATH}/points/count", {}, token)
        assert status == 200 and json.loads(content)["count"] == len(wanted) + 1
        assert_not_notified(third)
    for replica in replicas:
        assert NOT_NOTIFIED not in replica.errors()


def test_notifications_of_another_database(pooled):
    database, _, _ = pooled
    other = Database()
    try:
        with Replica(database.url, "--store-listen", other.url) as replica:
            assert_not_notified(replica)
    finally:
        other.remove()
