"""Clients of the balancer that write and read at bounded rates, and note what they asked and were answered."""

import http.client
import json
import random
import threading
import time
import uuid

COLLECTION = "chaos"
QUEUE = "chaos"
DIM = 8
IDS = 200
# Values of the metadata field by which points are deleted.
GROUPS = 60
PATH = f"/collections/{COLLECTION}"
# After these the write may have been done or not, and is repeated with its key.
AGAIN = (502, 503, 504)


class Notes:
    """The history that all clients write to, and the newest token that any of them has seen."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.history: list[dict] = []
        self.tokens: dict[str, str] = {}
        self.stopping = threading.Event()
        # Writes that have no answer are repeated until then.
        self.deadline = float("inf")
        self.operations = 0

    def number(self) -> int:
        with self.lock:
            self.operations += 1
            return self.operations

    def add(self, event: dict) -> None:
        with self.lock:
            self.history.append(event)

    def newest(self, what: str) -> str | None:
        with self.lock:
            return self.tokens.get(what)

    def learn(self, what: str, token: str | None) -> None:
        if token is None:
            return
        with self.lock:
            if what not in self.tokens or parts(token)[1:] > parts(self.tokens[what])[1:]:
                self.tokens[what] = token


def parts(token: str | None) -> tuple[str, int, int] | tuple[None, None, None]:
    """The name, epoch and version of a token."""
    if token is None:
        return None, None, None
    name, epoch, version = token.rsplit(":", 2)
    return name, int(epoch), int(version)


class Client(threading.Thread):
    """One client with a connection of its own, which does `self.step()` about `rate` times a second."""

    def __init__(self, notes: Notes, port: int, seed: str, rate: float) -> None:
        super().__init__(daemon=True)
        self.notes, self.port, self.rate = notes, port, rate
        self.random = random.Random(seed)
        self.connection: http.client.HTTPConnection | None = None
        # The tokens of this client's own answers.
        self.own: dict[str, str] = {}
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.notes.stopping.is_set():
                began = time.monotonic()
                self.step()
                pause = self.random.expovariate(self.rate)
                self.notes.stopping.wait(max(0.0, min(pause, 5 / self.rate) - (time.monotonic() - began)))
        except BaseException as error:
            self.failure = error

    def send(self, method: str, path: str, body=None, fields: dict | None = None):
        """(status, token, parsed body), or (None, None, what happened) when there was no answer."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            text = None if body is None else json.dumps(body)
            kind = {} if text is None else {"Content-Type": "application/json"}
            self.connection.request(method, path, text, {**kind, **(fields or {})})
            response = self.connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            return None, None, repr(error)
        try:
            parsed = json.loads(content)
        except ValueError:
            parsed = content[:200].decode(errors="replace")
        return response.status, response.headers.get("X-Nearfar-Version"), parsed

    def token(self, what: str) -> str | None:
        """A token to send: this client's own or the newest of all, which somebody may have told this client."""
        return self.own.get(what) if self.random.random() < 0.5 else self.notes.newest(what)

    def learn(self, what: str, token: str | None) -> None:
        if token is not None:
            self.own[what] = token
            self.notes.learn(what, token)

    def write(self, kind: str, what: str, method: str, path: str, body: dict, count: str | None, **noted) -> None:
        """Sends a write with a key until it has an answer that is not one of trouble, and notes it."""
        token = self.token(what)
        fields = {"Idempotency-Key": str(uuid.UUID(int=self.random.getrandbits(128)))}
        if token is not None:
            fields["X-Nearfar-Min-Version"] = token
        event = {
            "kind": kind, "op": self.notes.number(), "needs": parts(token)[2] or 0, "request": [method, path, body],
            "key": fields["Idempotency-Key"], "status": None, "version": None, "attempts": 0, "troubles": [], **noted}
        began = time.monotonic()
        while time.monotonic() < self.notes.deadline:
            event["attempts"] += 1
            status, told, answer = self.send(method, path, body, fields)
            if status is None or status in AGAIN:
                event["troubles"].append([round(time.monotonic() - began, 2), status, str(answer)[:200]])
                time.sleep(self.random.uniform(0.05, 0.2) * min(event["attempts"], 5))
                continue
            _, epoch, version = parts(told)
            event.update(status=status, version=version, epoch=epoch)
            if status != 200:
                event["detail"] = answer
            elif count is not None:
                event["count"] = answer[count]
                # The body names the version as well; both have to be one.
                if version is None:
                    event["version"] = answer["version"]
                elif answer["version"] != version:
                    event.update(status=0, detail=f"the field says {told} and the body {answer}")
            self.learn(what, told)
            break
        event["at"] = time.monotonic()
        event["seconds"] = event["at"] - began
        self.notes.add(event)


class Writer(Client):
    """Writes and deletes points of few ids, so that clients overwrite each other's."""

    def step(self) -> None:
        # Many are derived from the points that there are, which is where replicas are in each other's way.
        chosen = self.random.random()
        ids = [f"p{n}" for n in self.random.sample(range(IDS), self.random.randint(1, 4))]
        if chosen < 0.5:
            points = [self.point(identity) for identity in ids]
            self.write("put", COLLECTION, "PUT", f"{PATH}/points", {"points": points}, "upserted", points=points)
        elif chosen < 0.62:
            self.write("delete", COLLECTION, "POST", f"{PATH}/points/delete", {"ids": ids}, "deleted", ids=ids)
        elif chosen < 0.82:
            group = self.random.randrange(GROUPS)
            self.write("delete_filter", COLLECTION, "POST", f"{PATH}/points/delete", {"filter": {"n": group}}, "deleted", n=group)
        else:
            mark = self.random.randrange(1000)
            body = {"points": [{"id": identity, "metadata": {"m": mark}} for identity in ids]}
            self.write("merge", COLLECTION, "PATCH", f"{PATH}/points", body, "updated", ids=ids, m=mark)

    def point(self, identity: str) -> dict:
        # Quarters are exact as f32, so that what is read can be compared with what was written.
        vector = [self.random.randint(-16, 16) / 4 for _ in range(DIM - 1)] + [1.0]
        return {"id": identity, "vector": vector, "metadata": {"n": self.random.randrange(GROUPS), "op": self.random.getrandbits(30)}}


class Appender(Client):
    """Appends keys to the queue."""

    def step(self) -> None:
        rows = self.random.randint(1, 4)
        matrix = [[self.random.randint(-16, 16) / 4 for _ in range(DIM - 1)] + [1.0] for _ in range(rows)]
        body = {"queries": matrix, "keys": matrix, "queue": QUEUE}
        self.write("append", f"queues/{QUEUE}", "POST", "/loss", body, None, rows=rows)


class Reader(Client):
    """Reads points, counts them and searches, with tokens."""

    def step(self) -> None:
        token = self.token(COLLECTION)
        fields = {} if token is None else {"X-Nearfar-Min-Version": token}
        event = {"needs": parts(token)[2] or 0}
        body_version = None
        chosen = self.random.random()
        began = time.monotonic()
        if chosen < 0.4:
            event |= {"kind": "get", "id": f"p{self.random.randrange(IDS)}"}
            status, told, answer = self.send("GET", f"{PATH}/points/{event['id']}", None, fields)
            if status == 200:
                answer = {"vector": answer["vector"], "metadata": answer["metadata"]}
        elif chosen < 0.6:
            event |= {"kind": "count"}
            status, told, answer = self.send("POST", f"{PATH}/points/count", {}, fields)
            body_version = answer["version"] if status == 200 else None
            answer = answer["count"] if status == 200 else answer
        else:
            query = [self.random.randint(-16, 16) / 4 for _ in range(DIM - 1)] + [1.0]
            event |= {"kind": "search", "query": query, "k": 5}
            body = {"collection": COLLECTION, "vectors": [query], "k": 5, "exact": True}
            status, told, answer = self.send("POST", "/neighbors", body, fields)
            body_version = answer["version"] if status == 200 else None
            answer = answer["results"][0] if status == 200 else answer
        _, epoch, version = parts(told)
        self.learn(COLLECTION, told)
        if body_version is not None:
            event["body_version"] = body_version
        self.notes.add({**event, "status": status, "version": version, "epoch": epoch, "answer": answer, "seconds": time.monotonic() - began})
