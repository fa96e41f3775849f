"""Writers that record what was answered, and so know what may be stored after a crash.

Each writer changes only its own ids, so that the order of its batches is the order of all changes to them.
"""

import http.client
import random
import struct
import threading
import time

from server import Client, Server

DIM = 8
PATH = "/collections/crash"
WRITERS = 4
# The number of points per writer, chosen so that the collection stays above the threshold for a graph.
GRAPH_POINTS = 3200


def as_f32(values: list[float]) -> list[float]:
    return list(struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}f", *values)))


def vector(generator: random.Random) -> list[float]:
    """A random vector whose values f32 holds exactly."""
    return as_f32([generator.uniform(-1, 1) for _ in range(DIM)])


def apply(points: dict[str, dict], batch: dict) -> dict[str, dict]:
    """Applies a batch to `points`, and returns them."""
    for point in batch.get("upsert", []):
        points[point["id"]] = point
    for identity in batch.get("delete", []):
        points.pop(identity, None)
    return points


class Writer:
    """A client that writes random batches.

    known: the points that are stored according to the answers, by id. open: the batch whose answer is still missing.
    start: the points at the last check. log: the batches answered since then, with their versions and times.
    """

    def __init__(self, number: int, seed: int, points: int = 0) -> None:
        self.number = number
        self.generator = random.Random(seed * 1000 + number)
        self.prefix = f"w{number}."
        self.ids = [f"{self.prefix}{n}" for n in range(200 + points)]
        self.known: dict[str, dict] = {}
        self.start: dict[str, dict] = {}
        self.log: list[tuple[int, dict, float]] = []
        self.open: dict | None = None
        self.problems: list[str] = []
        self.stop = False

    @property
    def versions(self) -> list[int]:
        return [version for version, _, _ in self.log]

    def point(self, identity: str) -> dict:
        generator = self.generator
        point = {"id": identity, "vector": vector(generator)}
        if generator.random() < 0.5:
            point["metadata"] = {"n": generator.randint(0, 99)}
        if generator.random() < 0.2:
            point["text"] = "text " * generator.randint(1, 400)
        return point

    def next_batch(self) -> dict:
        generator = self.generator
        # Some batches are large, so that the saved graph becomes outdated.
        count = generator.randint(100, 300) if generator.random() < 0.02 else generator.randint(1, 6)
        # The first 200 ids change often, the others less often.
        among = self.ids if generator.random() < 0.5 or count > 6 else self.ids[:200]
        ids = generator.sample(among, min(count, len(among)))
        # Few enough deletions are made that a collection with a graph keeps it.
        if generator.random() < (0.3 if len(self.ids) == 200 else 0.15):
            return {"delete": ids}
        return {"upsert": [self.point(identity) for identity in ids]}

    def preload(self, client: Client) -> None:
        """Stores a point for every id."""
        for first in range(0, len(self.ids), 1000):
            self.write(client, {"upsert": [self.point(identity) for identity in self.ids[first : first + 1000]]})

    def write(self, client: Client, batch: dict | None = None) -> bool:
        """Writes one batch; returns False when the server is gone or refuses it."""
        batch = batch or self.next_batch()
        self.open = batch
        try:
            if "delete" in batch:
                status, answer = client.ask("POST", f"{PATH}/points/delete", {"ids": batch["delete"]})
            else:
                status, answer = client.ask("PUT", f"{PATH}/points", {"points": batch["upsert"]})
        except (OSError, http.client.HTTPException):
            return False
        self.open = None
        if status != 200:
            self.problems.append(f"writer {self.number}: {status} {answer}")
            return False
        before = len(self.known)
        apply(self.known, batch)
        # A deletion that removes nothing does not make a new version.
        if "upsert" in batch or answer["deleted"] > 0:
            self.log.append((answer["version"], batch, time.monotonic()))
        if "delete" in batch and answer["deleted"] != before - len(self.known):
            self.problems.append(f"writer {self.number}: {answer['deleted']} deleted, not {before - len(self.known)}")
        return True

    def settle(self, found: dict[str, dict]) -> None:
        """Continues from the points that were found, after they were checked."""
        self.known = dict(found)
        self.start = dict(found)
        self.log = []
        self.open = None
        self.problems = []


def run(server: Server, writers: list[Writer]) -> list[threading.Thread]:
    """Starts each writer on a thread, which ends when the server does."""

    def loop(writer: Writer) -> None:
        client = server.client()
        while not writer.stop and writer.write(client):
            pass
        client.close()

    threads = [threading.Thread(target=loop, args=(writer,), daemon=True) for writer in writers]
    for thread in threads:
        thread.start()
    return threads
