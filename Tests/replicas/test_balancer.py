"""Which requests deploy/haproxy.cfg sends again when a replica breaks off, and which it leaves to the client."""

import http.client
import json
import os
import socket
import subprocess

import pytest
from database import ROOT, free_port
from listener import Listener
from replica import Balancer, environment

CONFIGURATION = str(ROOT / "deploy" / "haproxy.cfg")


class Stand(Listener):
    """Stands in for a replica: healthy, but it treats requests as `manner` says, and counts them."""

    def __init__(self) -> None:
        self.manner = "answers"
        self.seen = 0
        super().__init__()

    def _serve(self, client: socket.socket) -> None:
        try:
            self._answer(client)
        except OSError:
            # The balancer has reset a connection that it kept.
            pass

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while line := lines.readline():
                fields = {}
                while (field := lines.readline().strip()):
                    name, _, value = field.partition(b":")
                    fields[name.lower()] = value.strip()
                lines.read(int(fields.get(b"content-length", 0)))
                if b"/readyz" in line:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    return
                self.seen += 1
                if self.manner == "breaks off":
                    return
                if self.manner == "503":
                    connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
                else:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                    return


@pytest.fixture(scope="module")
def stands():
    made = [Stand() for _ in range(3)]
    balancer = Balancer([stand.port for stand in made])
    yield made, balancer.port
    balancer.stop()


def send(port: int, method: str, path: str, body=None, **fields: str) -> tuple[int, str | None]:
    """The status, and which replica answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    names = {name.replace("_", "-"): value for name, value in fields.items()}
    text = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
    connection.request(method, path, text, {**({} if body is None else {"Content-Type": "application/json"}), **names})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, response.headers.get("X-Served-By")


KEY = {"Idempotency_Key": "k"}
POINTS = {"points": [{"id": "a", "vector": [1]}]}
LOSS = {"queries": [[1]], "keys": [[1]]}
QUEUED = {**LOSS, "queue": "q"}
HEADER = b'{"__metadata__":{"queue":"q"}}'
SAFETENSORS = len(HEADER).to_bytes(8, "little") + HEADER

REPEATED = [
    ("GET", "/collections/c", None, {}),
    ("HEAD", "/collections/c", None, {}),
    ("OPTIONS", "/collections/c", None, {}),
    ("GET", "/collections/c/points/a", None, {}),
    ("POST", "/embed", {"inputs": "a"}, {}),
    ("POST", "/v1/embeddings", {"input": "a"}, {}),
    ("POST", "/similarity", {}, {}),
    ("POST", "/tokenize", {}, {}),
    ("POST", "/rerank", {}, {}),
    ("POST", "/neighbors", {}, {}),
    ("POST", "/collections/c/points/list", {}, {}),
    ("POST", "/collections/c/points/count", {}, {}),
    ("POST", "/loss", LOSS, {}),
    ("POST", "/loss", QUEUED, KEY),
    ("POST", "/loss", SAFETENSORS, KEY),
    ("PUT", "/collections/c/points", POINTS, KEY),
    ("PUT", "/%63ollections/c/points/", POINTS, KEY),
    ("PATCH", "/collections/c/points", POINTS, KEY),
    ("POST", "/collections/c/points/delete", {"ids": ["a"]}, KEY),
]
LEFT = [
    ("PUT", "/collections/c/points", POINTS, {}),
    ("PATCH", "/collections/c/points", POINTS, {}),
    ("POST", "/collections/c/points/delete", {"ids": ["a"]}, {}),
    ("POST", "/collections/c/points/%64elete", {"ids": ["a"]}, {}),
    ("POST", "//collections/c/points/delete/", {"ids": ["a"]}, {}),
    ("POST", "/loss", QUEUED, {}),
    ("POST", "/lo%73s", QUEUED, {}),
    ("POST", "/loss", b'{"queries":[[1]],"keys":[[1]],"\\u0071ueue":"q"}', {}),
    ("POST", "/loss", LOSS, {"Content_Encoding": "gzip"}),
    ("POST", "/loss", SAFETENSORS, {}),
    ("PUT", "/collections/c", {"dim": 1}, {}),
    # These routes do not look at the key.
    ("PUT", "/collections/c", {"dim": 1}, KEY),
    ("DELETE", "/collections/c", None, KEY),
    ("DELETE", "/collections/c/points/a", None, KEY),
    ("PUT", "/queues/q", {"capacity": 1, "dim": 1}, KEY),
    ("DELETE", "/queues/q", None, KEY),
]


@pytest.mark.parametrize("manner", ["breaks off", "503"])
@pytest.mark.parametrize("repeats, requests", [(True, REPEATED), (False, LEFT)], ids=["repeated", "left"])
def test_what_is_sent_again(stands, manner, repeats, requests):
    made, port = stands
    for method, path, body, fields in requests:
        for place, stand in enumerate(made):
            stand.manner, stand.seen = manner if place < 2 else "answers", 0
        # Whichever replica is asked first, two of three requests meet one that fails.
        answers = [send(port, method, path, body, **fields) for _ in range(6)]
        asked = sum(stand.seen for stand in made)
        what = (method, path, body, fields, answers, asked)
        if repeats:
            assert answers == [(200, "c")] * 6 and asked > 6, what
        else:
            failed = 502 if manner == "breaks off" else 503
            assert asked == 6 and {status for status, _ in answers} == {200, failed}, what


def test_every_route_goes_to_every_replica(stands):
    made, port = stands
    for stand in made:
        stand.manner = "answers"
    for path in ["/collections/c", "/queues/q", "/neighbors", "/embed"]:
        assert {send(port, "GET", path)[1] for _ in range(9)} == {"a", "b", "c"}


def test_a_replica_that_refuses_connections_is_passed_over(stands):
    made, port = stands
    for stand in made:
        stand.manner, stand.seen = "answers", 0
    # What waits in accept would still get one.
    made[1].listener.shutdown(socket.SHUT_RDWR)
    made[1].listener.close()
    # No replica has seen the request, so that this holds for writes without a key, too.
    assert {send(port, "PUT", "/collections/c/points", POINTS) for _ in range(12)} == {(200, "a"), (200, "c")}
    assert sum(stand.seen for stand in made) == 12


@pytest.mark.parametrize("names", [["A", "B"], ["A", "B", "C"]])
@pytest.mark.parametrize("store", [True, False])
def test_the_configuration_is_valid(names, store):
    addresses = {f"NEARFAR_REPLICA_{name}": f"127.0.0.1:{free_port()}" for name in names}
    extra = {} if store else {"NEARFAR_NO_STORE": "1"}
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    done = subprocess.run(
        ["haproxy", "-c", "-f", CONFIGURATION], capture_output=True, text=True,
        env=environment({"NEARFAR_BIND": f"127.0.0.1:{free_port()}", "PATH": path, **addresses, **extra}))
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
