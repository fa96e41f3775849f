"""Writers that remember what they were told, and what may be there after a crash.

Each writer has ids of its own, so that its own order is the order of their changes."""

import http.client
import random
import struct
import threading

from server import Client, Server

DIM = 8
PATH = "/collections/crash"


def as_f32(values: list[float]) -> list[float]:
    return list(struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}f", *values)))


def vector(generator: random.Random) -> list[float]:
    """Values that f32 holds exactly."""
    return as_f32([generator.uniform(-1, 1) for _ in range(DIM)])


class Writer:
    """`known`: what is stored, by id, as far as answers say. `open`: the one batch whose answer never came."""

    def __init__(self, number: int, seed: int) -> None:
        self.number = number
        self.generator = random.Random(seed * 1000 + number)
        self.known: dict[str, dict] = {}
        self.open: dict | None = None
        self.versions: list[int] = []
        self.problems: list[str] = []

    def next_batch(self) -> dict:
        generator = self.generator
        ids = [f"w{self.number}.{n}" for n in generator.sample(range(200), generator.randint(1, 6))]
        if generator.random() < 0.3:
            return {"delete": ids}
        batch = []
        for identity in ids:
            point = {"id": identity, "vector": vector(generator)}
            if generator.random() < 0.5:
                point["metadata"] = {"n": generator.randint(0, 99)}
            if generator.random() < 0.2:
                point["text"] = "text " * generator.randint(1, 400)
            batch.append(point)
        return {"upsert": batch}

    @staticmethod
    def applied(known: dict[str, dict], batch: dict) -> dict[str, dict]:
        after = dict(known)
        for point in batch.get("upsert", []):
            after[point["id"]] = point
        for identity in batch.get("delete", []):
            after.pop(identity, None)
        return after

    def write(self, client: Client) -> bool:
        """One batch; False when the server is gone."""
        batch = self.next_batch()
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
        self.known = self.applied(self.known, batch)
        # A deletion of nothing has no version of its own.
        if "upsert" in batch or answer["deleted"] > 0:
            self.versions.append(answer["version"])
        if "delete" in batch and answer["deleted"] != before - len(self.known):
            self.problems.append(f"writer {self.number}: {answer['deleted']} deleted, not {before - len(self.known)}")
        return True

    def settle(self, found: dict[str, dict]) -> str | None:
        """Compares what is stored of this writer's ids; takes over the open batch when it is there. What is wrong, or None."""
        if found == self.known:
            self.open = None
            return None
        if self.open is not None and found == self.applied(self.known, self.open):
            self.known = found
            self.open = None
            return None
        lost = sorted(set(self.known) - set(found))[:5]
        strange = sorted(set(found) - set(self.known))[:5]
        other = sorted(key for key in set(found) & set(self.known) if found[key] != self.known[key])[:5]
        return f"writer {self.number}: lost {lost}, not known {strange}, different {other}"


def run(server: Server, writers: list[Writer]) -> list[threading.Thread]:
    """Starts every writer on a thread that ends with the server."""

    def loop(writer: Writer) -> None:
        client = server.client()
        while writer.write(client):
            pass
        client.close()

    threads = [threading.Thread(target=loop, args=(writer,), daemon=True) for writer in writers]
    for thread in threads:
        thread.start()
    return threads


def stored(client: Client) -> tuple[dict[str, dict], dict]:
    """Every point by id, and the collection's description."""
    points: dict[str, dict] = {}
    after = None
    while True:
        path = f"{PATH}/points?limit=500" + (f"&after={after}" if after else "")
        status, page = client.ask("GET", path)
        assert status == 200, page
        for point in page["points"]:
            # The shortest decimals that give the f32 back are not those of the same double.
            point["vector"] = as_f32(point["vector"])
            points[point["id"]] = {key: value for key, value in point.items() if value is not None}
        after = page["next_after"]
        if after is None:
            break
    status, described = client.ask("GET", PATH)
    assert status == 200, described
    return points, described
