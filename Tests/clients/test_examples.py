"""The service answers errors exactly as the examples in openapi.yaml show."""

import contextlib
import signal
import socket
import time

import pytest
import yaml
from process import ROOT, Server

RESPONSES = yaml.safe_load((ROOT / "openapi.yaml").read_text())["components"]["responses"]
JSON = {"Content-Type": "application/json"}


def example(name):
    (content,) = RESPONSES[name]["content"].values()
    return content["example"]


def too_large(server):
    head = b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 134217729\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    return int(answer.split()[1]), yaml.safe_load(answer.split(b"\r\n\r\n", 1)[1])


def conflict(server):
    server.put("/collections/notes", {"dim": 384})
    response = server.put("/collections/notes", {"dim": 2})
    server.delete("/collections/notes")
    return response


def gone(server):
    seen = server.put("/collections/notes", {"dim": 2}).headers["X-Nearfar-Version"]
    server.delete("/collections/notes")
    server.put("/collections/notes", {"dim": 2})
    response = server.get("/collections/notes", headers={"X-Nearfar-Min-Version": seen})
    server.delete("/collections/notes")
    return response


ROWS = {"queries": [[1, 0], [0, 1], [1, 1], [0, 0]], "keys": [[1, 0], [0, 1], [1, 1], [1, 0]]}
PRODUCED = {
    "Status": lambda server: server.get("/livez"),
    "Malformed": lambda server: server.request("POST", "/embed", data=b'{"inputs":"a","inputs":"b"}', headers=JSON),
    "NotFound": lambda server: server.get("/collections/notes"),
    "NotAcceptable": lambda server: server.post("/embed", {"inputs": "a"}, headers={"Accept": "text/html"}),
    "Conflict": conflict,
    "Gone": gone,
    "TooLarge": too_large,
    "UnsupportedMediaType": lambda server: server.request(
        "POST", "/embed", data=b"a", headers={"Content-Type": "text/plain"}
    ),
    "Invalid": lambda server: server.post("/loss", ROWS),
    "OpenAIInvalid": lambda server: server.post("/v1/embeddings", {"input": []}),
    "OllamaInvalid": lambda server: server.post("/api/embed", {"input": [3]}),
    "CohereInvalid": lambda server: server.post("/v2/embed", {"texts": []}),
}


@pytest.mark.parametrize("name", PRODUCED)
def test_errors_are_those_of_the_examples(server, name):
    response = PRODUCED[name](server)
    status, body = response if isinstance(response, tuple) else (response.status_code, response.json())
    assert body == example(name)
    assert status == body.get("status", status) or name in ("Status", "OpenAIInvalid", "OllamaInvalid", "CohereInvalid")


KEYED = {
    "Unauthorized": lambda server: server.get("/info"),
    "Forbidden": lambda server: server.put("/collections/notes", {"dim": 2}, headers={"X-Api-Key": "read-0123456789abcdef"}),
    "OpenAIUnauthorized": lambda server: server.get("/v1/models", headers={"Authorization": "Bearer wrong"}),
    "OllamaUnauthorized": lambda server: server.get("/api/tags", headers={"Authorization": "Bearer wrong"}),
    "CohereUnauthorized": lambda server: server.post("/v2/embed", {"texts": ["a"]}, headers={"Authorization": "Bearer wrong"}),
}


def test_errors_about_keys_are_those_of_the_examples(tmp_path):
    file = tmp_path / "keys"
    file.write_text("alice:read-0123456789abcdef read\n")
    file.chmod(0o600)
    with Server("--api-key-file", str(file)) as server:
        for name, produce in KEYED.items():
            assert produce(server).json() == example(name)


def test_draining_is_the_example_of_503():
    body = b'{"inputs": "a"}'
    head = f"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    head += "Expect: 100-continue\r\n\r\n"

    def connect():
        return socket.create_connection(("127.0.0.1", own.port), timeout=30)

    def read(connection):
        return b"".join(iter(lambda: connection.recv(65_536), b""))

    with Server() as own:
        with connect() as waiting, contextlib.ExitStack() as stack:
            probes = [stack.enter_context(connect()) for _ in range(40)]
            waiting.sendall(head.encode())
            # The service has admitted this request, and accepted the probes' connections, which were opened before it.
            assert waiting.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert own.get("/livez").status_code == 200
            own.process.send_signal(signal.SIGTERM)
            # The open request keeps the service running. The signal takes effect within one pass of its event loop.
            for probe in probes:
                probe.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                status, found = read(probe).split(b"\r\n\r\n", 1)
                if status.startswith(b"HTTP/1.1 503 "):
                    break
                time.sleep(0.05)
            waiting.sendall(body)
            assert read(waiting).startswith(b"HTTP/1.1 200 ")
    assert status.startswith(b"HTTP/1.1 503 ")
    assert yaml.safe_load(found) == example("Unavailable")


def test_every_example_is_produced():
    """All but the full disk are produced here. StoreAnswersTests, which can make a commit fail, checks its text."""
    shown = {name for name, response in RESPONSES.items() for content in response["content"].values() if "example" in content}
    assert shown == {*PRODUCED, *KEYED, "Unavailable", "InsufficientStorage"}
    text = (ROOT / "Tests" / "ServiceTests" / "StoreAnswersTests.swift").read_text()
    assert f'507, "{example("InsufficientStorage")["detail"]}"' in text
