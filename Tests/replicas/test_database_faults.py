"""A hundred faults of the database's sessions: each write is done once, or refused with a reason, and never half of it."""

import http.client
import json
import random
import threading
import time
import uuid

import pytest
from database import Database
from faults import FAULTS
from replica import Replica, all_points, ask

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
        self.database.allow("local all service scram-sha-256")
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
    return int(trial.database.ask("SELECT version FROM nearfar.collections WHERE name = 'faults'")), all_points(port, PATH, strong=True)


def test_the_password_is_in_no_answer_and_in_no_log(trial):
    texts = [replica.errors() for replica in trial.replicas] + [answer.decode() for answer in trial.read_answers]
    assert sum(map(len, texts)) > 10_000
    assert not [text for text in texts if PASSWORD in text or "another" in text]
