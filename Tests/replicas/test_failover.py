"""A standby takes over: replicas whose connection string names both servers go on, also when the last commits are lost."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest
from database import Database
from replica import Replica, all_points, ask

# Several, so that a replica which wakes up meets writes before it has looked at all of them.
NAMES = [f"moved-{n}" for n in range(8)]


class Cluster:
    """A server, a standby of it, and two replicas that look for the one that can be written."""

    def __init__(self) -> None:
        self.primary = Database()
        self.standby = self.primary.base_backup(standby=True)
        url = (
            f"postgresql://nearfar@/postgres?host={self.primary.folder},{self.standby.folder}"
            f"&port={self.primary.port},{self.standby.port}&target_session_attrs=read-write")
        self.replicas = [Replica(url) for _ in range(2)]
        self.points: dict[str, dict[str, dict]] = {name: {} for name in NAMES}
        for name in NAMES:
            assert ask(self.replicas[0].port, "PUT", f"/collections/{name}", {"dim": 2, "metric": "cosine"})[0] == 201
            assert ask(self.replicas[1].port, "GET", f"/collections/{name}?consistency=strong")[0] == 200

    def put(self, name: str, number: int, replica: int, seconds: float = 30) -> int:
        """Writes a point, again and again until it is stored; returns its version."""
        point = {"id": f"p{number}", "vector": [float(number), 1.0]}
        fields = {"Idempotency-Key": f"{name}-{number}"}
        deadline = time.monotonic() + seconds
        while True:
            status, _, content = ask(self.replicas[replica].port, "PUT", f"/collections/{name}/points", {"points": [point]}, fields)
            if status == 200:
                self.points[name][point["id"]] = point
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

    def promote(self) -> None:
        for _ in range(100):
            try:
                return self.standby.control("promote")
            except subprocess.CalledProcessError:
                # The standby starts its processes anew after one was killed.
                time.sleep(0.1)
        raise AssertionError("the standby does not take over")

    def difference(self) -> list[str]:
        """What the replicas have that is not as it was written."""
        found = []
        for number, replica in enumerate(self.replicas):
            for name in NAMES:
                points = all_points(replica.port, f"/collections/{name}")
                if points != self.points[name]:
                    found.append(f"replica {number} has {sorted(points)} in {name}, not {sorted(self.points[name])}")
        return found

    def check(self) -> None:
        """Both replicas have what was written soon, and one digest."""
        deadline = time.monotonic() + 15
        while (found := self.difference()) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert found == []
        for name in NAMES:
            digests = [json.loads(ask(each.port, "GET", f"/collections/{name}/digest?consistency=strong")[2]) for each in self.replicas]
            assert digests[0] == digests[1]

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


def test_nothing_is_lost_where_the_standby_has_everything(cluster):
    for name in NAMES:
        for number in range(10):
            assert cluster.put(name, number, number % 2) == number + 1
    cluster.wait_for_standby()
    cluster.primary.stop("immediate")
    # Reads go on without a database.
    assert ask(cluster.replicas[0].port, "POST", f"/collections/{NAMES[0]}/points/count", {})[0] == 200
    cluster.promote()
    for name in NAMES:
        for number in range(10, 14):
            assert cluster.put(name, number, number % 2) == number + 1
    cluster.check()


def test_what_the_standby_lacks_is_gone_everywhere(cluster):
    for name in NAMES:
        for number in range(5):
            cluster.put(name, number, 0)
    cluster.wait_for_standby()
    # The standby receives nothing any more, and the primary does not wait for it.
    receiver = int(cluster.standby.ask("SELECT pid FROM pg_stat_wal_receiver"))
    os.kill(receiver, signal.SIGSTOP)
    for name in NAMES:
        for number in range(5, 10):
            cluster.put(name, number, number % 2)
    for replica in cluster.replicas:
        for name in NAMES:
            assert len(all_points(replica.port, f"/collections/{name}", strong=True)) == 10
    cluster.primary.stop("immediate")
    os.kill(receiver, signal.SIGKILL)
    for name in NAMES:
        for number in range(5, 10):
            del cluster.points[name][f"p{number}"]
    # One replica sees nothing of what comes now: the same versions are made again, with other points.
    cluster.replicas[1].stall()
    cluster.promote()
    for name in NAMES:
        for number in range(20, 25):
            assert cluster.put(name, number, 0) == number - 14
    # The next version is written by the replica that has been away, as the first thing it does.
    versions: dict[str, int] = {}
    writes = [threading.Thread(target=lambda name=name: versions.update({name: cluster.put(name, 25, 1)})) for name in NAMES]
    for write in writes:
        write.start()
    time.sleep(0.3)
    cluster.replicas[1].go_on()
    for write in writes:
        write.join()
    assert versions == {name: 11 for name in NAMES}
    # The histories are of one length, and only the digests tell them apart.
    cluster.check()
