"""A hundred faults of the database's sessions: each write is done once, or refused with a reason, and never half of it."""

import http.client
import json
import os
import random
import subprocess
import threading
import time
import uuid
from pathlib import Path

import pytest
from database import Database, as_user
from faults import FAULTS
from replica import BINARY, MODEL, Replica, all_points, ask, environment

SEED = 11
DIM = 16
PATH = "/collections/faults"
PASSWORD = "Ver5chlossen.Kiste"


class Write:
    """A write with a key, sent on a thread."""

    def __init__(self, replica: Replica, points: list[dict]) -> None:
        self.points, self.key = points, str(uuid.uuid4())
        # The statuses, the words and the seconds that the first answer may have.
        self.expects = {200, 503}
        self.says = ""
        self.within = 20.0
        self.answer = None
        self.thread = threading.Thread(target=self._run, args=(replica,))
        self.thread.start()

    def _run(self, replica: Replica) -> None:
        began = time.monotonic()
        self.answer = self.send(replica)
        self.seconds = time.monotonic() - began

    def send(self, replica: Replica):
        status, headers, content = ask(replica.port, "PUT", f"{PATH}/points", {"points": self.points}, {"Idempotency-Key": self.key})
        answer = json.loads(content)
        # Says how long ago the database was seen, which is no part of the outcome.
        answer.pop("stale_seconds", None)
        return status, headers, answer

    def wait(self):
        self.thread.join(40)
        assert self.answer is not None, "no answer within 40 s"
        return self.answer


class Trial:
    """Two replicas on a database that asks for a password, and what has to be in it."""

    def __init__(self) -> None:
        self.random = random.Random(SEED)
        self.password = PASSWORD
        self.database = Database(settings=["log_statement = none"])
        self.database.ask(f"CREATE ROLE service LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE postgres TO service")
        self.database.ask(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'could not extend the file' USING ERRCODE = TG_ARGV[0]; END $$")
        allow(self.database, "local all service scram-sha-256")
        url = f"postgresql://service:{PASSWORD}@/postgres?host={self.database.folder}&port={self.database.port}"
        self.replicas = [Replica(url, "--access-log", "all") for _ in range(2)]
        status, _, answer = ask(self.replicas[0].port, "PUT", PATH, {"dim": DIM, "metric": "cosine"})
        assert status == 201, answer
        self.version = 0
        self.points: dict[str, dict] = {}
        self.frozen: list[float] = []
        self.read_answers: list[bytes] = []
        self.write = None
        self.warm()

    def warm(self) -> None:
        """A write without a fault, so that the next one meets a session that is there."""
        self.settle(self.send())

    def send(self, points: int = 3) -> Write:
        made = [
            {"id": f"p{self.random.randrange(500)}.{n}", "vector": [self.random.randint(-8, 8) / 4 for _ in range(DIM - 1)] + [1],
             "metadata": {"w": self.random.getrandbits(30)}} for n in range(points)]
        self.write = Write(self.replicas[self.random.randrange(2)], made)
        return self.write

    def read(self) -> None:
        """Reads go on at both replicas."""
        for replica in self.replicas:
            status, _, content = ask(replica.port, "POST", f"{PATH}/points/count", {}, seconds=2)
            assert status == 200 and json.loads(content)["count"] >= len(self.points), content
            self.read_answers.append(content)

    def wait_for(self, condition: str) -> None:
        """Waits until the session of the write is in this state."""
        for _ in range(200):
            if self.database.ask(f"SELECT 1 FROM pg_stat_activity WHERE application_name = 'nearfar writer' AND {condition}"):
                return
            time.sleep(0.01)
        raise AssertionError(f"the session never had {condition}; the write: {self.write.answer}")

    def settle(self, write: Write) -> None:
        """Checks a write's first answer, repeats it elsewhere until it is a success, and checks what is stored."""
        status, headers, answer = write.wait()
        assert status in write.expects, (status, answer)
        assert write.seconds <= write.within, f"{write.seconds:.2f} s"
        if status != 200:
            assert headers["Content-Type"] == "application/problem+json" and answer["status"] == status, answer
            assert len(answer["detail"]) > 10 and write.says in answer["detail"], answer
            assert status != 503 or int(headers["Retry-After"]) >= 1
        self.read_answers.append(json.dumps(answer).encode())
        self.version += 1
        first = answer if status == 200 else None
        deadline = time.monotonic() + 30
        for replica in self.replicas:
            while True:
                try:
                    status, _, answer = write.send(replica)
                except (OSError, http.client.HTTPException) as error:
                    status, answer = None, repr(error)
                if status == 200:
                    break
                assert status == 503 and time.monotonic() < deadline, (status, answer)
                self.read_answers.append(json.dumps(answer).encode())
                time.sleep(0.1)
            first = first or answer
            assert answer == first == {"version": self.version, "upserted": len(write.points)}
        for point in write.points:
            self.points[point["id"]] = point

    def compare(self) -> None:
        """The database and both replicas have every point as it was written, and the version of the last write."""
        row = self.database.ask("SELECT version, count FROM nearfar.collections WHERE name = 'faults'")
        assert row == f"{self.version}|{len(self.points)}"
        assert self.database.ask("SELECT count(*), max(version) FROM nearfar.changes") == f"{self.version}|{self.version}"
        digests = set()
        for replica in self.replicas:
            listed = all_points(replica.port, PATH, strong=True)
            assert listed == self.points
            digests.add(json.loads(ask(replica.port, "GET", f"{PATH}/digest")[2])["digest"])
        assert len(digests) == 1

    def close(self) -> None:
        for replica in self.replicas:
            replica.stop()
        self.database.remove()


def allow(database: Database, *lines: str) -> None:
    """Puts lines before those of pg_hba.conf."""
    path = database.folder / "data" / "pg_hba.conf"
    path.write_text("".join(line + "\n" for line in lines) + path.read_text())
    database.ask("SELECT pg_reload_conf()")
    time.sleep(0.2)


@pytest.fixture(scope="module")
def trial():
    made = Trial()
    yield made
    made.close()


def test_a_hundred_faults(trial):
    names = [name for name, (times, _) in FAULTS.items() for _ in range(times)]
    assert len(names) == 100
    trial.random.shuffle(names)
    outcomes: dict[str, list[str]] = {}
    problems = []
    for number, name in enumerate(names):
        try:
            write = FAULTS[name][1](trial)
            trial.settle(write)
        except AssertionError as error:
            problems.append(f"fault {number}, {name}: {str(error)[:600]}")
            # Whatever the write has become, the others are judged from what there is now.
            if trial.write.thread.is_alive():
                trial.write.thread.join(40)
            trial.version, trial.points = found(trial)
            if len(problems) > 5:
                break
        else:
            outcomes.setdefault(name, []).append(f"{write.answer[0]} in {write.seconds:.1f} s")
        if number % 10 == 9:
            trial.compare()
        # The sessions of both replicas are there again.
        trial.warm()
    for name, seen in outcomes.items():
        print(f"{name}: {', '.join(seen)}")
    assert not problems, "\n".join(problems)
    trial.compare()


def found(trial: Trial) -> tuple[int, dict]:
    """The version and the points that there are now."""
    port = trial.replicas[0].port
    deadline = time.monotonic() + 20
    while ask(port, "GET", f"{PATH}?consistency=strong")[0] != 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    return int(trial.database.ask("SELECT version FROM nearfar.collections")), all_points(port, PATH, strong=True)


def test_the_password_is_in_no_answer_and_in_no_log(trial):
    texts = [replica.errors() for replica in trial.replicas] + [answer.decode() for answer in trial.read_answers]
    assert sum(map(len, texts)) > 10_000
    assert not [text for text in texts if PASSWORD in text or "another" in text]


# Starts that a database refuses.


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
    import trustme

    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    database = Database(listens=True)
    data = database.folder / "data"
    server.private_key_pem.write_to_path(data / "server.key")
    (data / "server.crt").write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    os.chmod(data / "server.key", 0o600)
    if os.getuid() == 0:
        import shutil

        shutil.chown(data / "server.key", "nobody", "nogroup")
    database.ask(f"CREATE ROLE service LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE postgres TO service")
    allow(database, "hostssl all service 127.0.0.1/32 scram-sha-256", "host all all 0.0.0.0/0 reject")
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


# A disk that is really full: a tablespace on a file system of a few megabytes, where this process may mount one.


@pytest.fixture
def small_disk():
    database = Database()
    place = database.folder / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=777", "tmpfs", str(place)], capture_output=True).returncode == 0
    if mounted:
        made = place / "space"
        subprocess.run(as_user(["mkdir", str(made)]), check=True)
        database.ask(f"CREATE TABLESPACE small LOCATION '{made}'")
    yield database, place if mounted else None
    database.stop("immediate")
    if mounted:
        subprocess.run(["umount", str(place)], check=True)
    database.remove()


def fill(replica: Replica, batches: int) -> tuple[list[int], dict]:
    """Writes batches of 100 points of 4 KiB each until one is refused."""
    statuses, answer = [], {}
    for batch in range(batches):
        points = [{"id": f"{batch}.{n}", "vector": [1, n], "text": f"{batch} {n} " + os.urandom(2000).hex()} for n in range(100)]
        status, _, content = ask(replica.port, "PUT", "/collections/full/points", {"points": points})
        statuses.append(status)
        answer = json.loads(content)
        if status != 200:
            break
    return statuses, answer


def test_a_full_disk(small_disk):
    database, place = small_disk
    with Replica(database.url) as replica:
        assert ask(replica.port, "PUT", "/collections/full", {"dim": 2, "metric": "cosine"})[0] == 201
        if place is None:
            # Mounting is not allowed here, so the server is made to answer as it would.
            print("without a file system of its own: the server answers as it does when the disk is full")
            database.ask(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (SELECT count(*) FROM nearfar.points) > 800 THEN "
                "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$; "
                "CREATE TRIGGER refuse BEFORE INSERT ON nearfar.points FOR EACH ROW EXECUTE FUNCTION refuse()")
        else:
            database.ask("ALTER TABLE nearfar.points SET TABLESPACE small")
        statuses, answer = fill(replica, 60)
        assert statuses[-1] == 507 and len(statuses) > 3 and set(statuses[:-1]) == {200}, (statuses, answer)
        assert answer["status"] == 507 and len(answer["detail"]) > 10
        kept = 100 * (len(statuses) - 1)
        for _ in range(2):
            status, _, content = ask(replica.port, "POST", "/collections/full/points/count", {})
            assert status == 200 and json.loads(content)["count"] == kept
        assert database.ask("SELECT version, count FROM nearfar.collections WHERE name = 'full'") == f"{kept // 100}|{kept}"
        assert database.ask("SELECT count(*) FROM nearfar.points") == str(kept)
        # With room again, the same write succeeds.
        if place is None:
            database.ask("DROP TRIGGER refuse ON nearfar.points")
        else:
            database.ask("ALTER TABLE nearfar.points SET TABLESPACE pg_default")
        statuses, answer = fill(replica, 1)
        assert statuses == [200] and answer["version"] == kept // 100 + 1


def test_no_test_leaves_a_mount_behind():
    assert "nfpg" not in Path("/proc/mounts").read_text()
