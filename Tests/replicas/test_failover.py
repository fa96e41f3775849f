"""A standby takes over: replicas whose connection string names both servers go on, also when the last commits are lost."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from database import Database
from replica import Replica, all_points, ask

PATH = "/collections/moved"


class Cluster:
    """A server, a standby of it, and two replicas that look for the one that can be written."""

    def __init__(self) -> None:
        self.primary = Database()
        self.standby = self.primary.base_backup(standby=True)
        url = (
            f"postgresql://nearfar@/postgres?host={self.primary.folder},{self.standby.folder}"
            f"&port={self.primary.port},{self.standby.port}&target_session_attrs=read-write")
        self.replicas = [Replica(url) for _ in range(2)]
        self.points: dict[str, dict] = {}
        assert ask(self.replicas[0].port, "PUT", PATH, {"dim": 2, "metric": "cosine"})[0] == 201
        assert ask(self.replicas[1].port, "GET", f"{PATH}?consistency=strong")[0] == 200

    def put(self, number: int, replica: int = 0, seconds: float = 30) -> int:
        """Writes a point, again and again until it is stored; returns its version."""
        point = {"id": f"p{number}", "vector": [float(number), 1.0]}
        deadline = time.monotonic() + seconds
        while True:
            status, _, content = ask(
                self.replicas[replica].port, "PUT", f"{PATH}/points", {"points": [point]}, {"Idempotency-Key": f"key-{number}-{id(self)}"})
            if status == 200:
                self.points[point["id"]] = point
                return json.loads(content)["version"]
            assert status == 503 and time.monotonic() < deadline, content
            time.sleep(0.1)

    def wait_for_standby(self) -> None:
        wanted = self.primary.ask("SELECT pg_current_wal_lsn()")
        for _ in range(200):
            if self.standby.ask(f"SELECT pg_last_wal_replay_lsn() >= '{wanted}'::pg_lsn") == "t":
                return
            time.sleep(0.05)
        raise AssertionError("the standby does not follow")

    def close(self) -> None:
        for replica in self.replicas:
            replica.stop()
        self.standby.remove()
        self.primary.remove()


@pytest.fixture
def cluster():
    made = Cluster()
    yield made
    made.close()


def same(cluster: Cluster) -> None:
    """Both replicas have what was written, and one digest."""
    for replica in cluster.replicas:
        assert all_points(replica.port, PATH, strong=True) == cluster.points
    digests = [json.loads(ask(replica.port, "GET", f"{PATH}/digest?consistency=strong")[2]) for replica in cluster.replicas]
    assert digests[0] == digests[1]


def test_nothing_is_lost_where_the_standby_has_everything(cluster):
    for number in range(20):
        assert cluster.put(number, number % 2) == number + 1
    cluster.wait_for_standby()
    cluster.primary.stop("immediate")
    # Reads go on without a database.
    assert ask(cluster.replicas[0].port, "POST", f"{PATH}/points/count", {})[0] == 200
    cluster.standby.control("promote")
    for number in range(20, 30):
        assert cluster.put(number, number % 2) == number + 1
    same(cluster)


def test_what_the_standby_lacks_is_gone_everywhere(cluster):
    for number in range(10):
        cluster.put(number)
    cluster.wait_for_standby()
    # The standby receives nothing any more, and the primary does not wait for it.
    receiver = int(cluster.standby.ask("SELECT pid FROM pg_stat_wal_receiver"))
    os.kill(receiver, signal.SIGSTOP)
    lost = []
    for number in range(10, 15):
        cluster.put(number, number % 2)
        lost.append(f"p{number}")
    for replica in cluster.replicas:
        assert len(all_points(replica.port, PATH, strong=True)) == 15
    cluster.primary.stop("immediate")
    assert Path(f"/proc/{receiver}").exists()
    os.kill(receiver, signal.SIGKILL)
    for _ in range(100):
        try:
            cluster.standby.control("promote")
            break
        except Exception:
            # The standby starts its processes anew after one was killed.
            time.sleep(0.1)
    for identity in lost:
        del cluster.points[identity]
    # The same versions are made again, with other points: the digests tell the histories apart.
    for number in range(20, 27):
        cluster.put(number, number % 2)
    deadline = time.monotonic() + 20
    while any(all_points(replica.port, PATH) != cluster.points for replica in cluster.replicas):
        assert time.monotonic() < deadline, [sorted(all_points(replica.port, PATH)) for replica in cluster.replicas]
        time.sleep(0.2)
    same(cluster)
    assert json.loads(ask(cluster.replicas[0].port, "GET", PATH)[2])["version"] == 17
