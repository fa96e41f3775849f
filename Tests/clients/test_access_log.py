"""The access log: what its lines hold, which requests have one, and that no request waits for whoever reads it."""

import json
import os
import re
import shlex
import signal
import socket
import struct
import subprocess
import time

import pytest
import requests
from process import BINARY, MODEL, READY, Server, clean_environment, wait_until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def logged(server, count):
    """The access lines of a server that logs in JSON, when there are so many."""

    def lines():
        parsed = [json.loads(line) for line in server.errors().splitlines()]
        return [line for line in parsed if line["message"] == "request"]

    assert wait_until(lambda: len(lines()) >= count), server.errors()[-2000:]
    return lines()


@pytest.fixture(scope="module")
def logging():
    with Server("--access-log", "all", "--log-format", "json") as running:
        yield running


@pytest.fixture
def lines(logging):
    """Calls a function and returns the lines that it has brought about."""

    def of(count, act):
        before = len(logged(logging, 0))
        act()
        return logged(logging, before + count)[before:]

    return of


def test_a_line_holds_what_an_operator_asks_for(logging, lines):
    def act():
        logging.post("/embed?secret=1", {"inputs": ["confidential"]}, headers={"X-Request-Id": "mine-1"})

    [line] = lines(1, act)
    assert TIME.fullmatch(line["time"]) and line["level"] == "info"
    assert {name: line[name] for name in ["request_id", "client", "method", "route", "path", "status"]} == {
        "request_id": "mine-1",
        "client": "127.0.0.1",
        "method": "POST",
        "route": "/embed",
        "path": "/embed",
        "status": 200,
    }
    assert line["bytes_in"] == len('{"inputs": ["confidential"]}') and line["bytes_out"] > 1000
    assert 0 < line["queue_ms"] <= line["duration_ms"] < 60_000
    assert line["tokenize_ms"] >= 0 and line["encode_ms"] > 0
    assert "secret" not in str(line) and "confidential" not in str(line)
    assert "confidential" not in logging.errors() and "secret" not in logging.errors()


def test_bytes_out_are_those_of_the_body(logging, lines):
    answers = []

    def act():
        answers.append(logging.get("/openapi.yaml", headers={"Accept-Encoding": "identity"}))
        answers.append(logging.request("HEAD", "/openapi.yaml"))
        answers.append(logging.get("/collections/default/export"))

    whole, head, export = lines(3, act)
    assert whole["bytes_out"] == len(answers[0].content)
    assert (head["method"], head["status"], head["bytes_out"]) == ("HEAD", 200, 0)
    assert export["bytes_out"] == len(answers[2].content) == int(answers[2].headers["Content-Length"])


def test_requests_that_were_refused_by_their_heads(logging, lines):
    def act():
        logging.get("/nowhere")
        logging.delete("/embed")
        logging.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", until_closed=True)
        logging.raw(b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", until_closed=True)

    missing, method, unread, large = lines(4, act)
    assert (missing["status"], missing["path"], missing.get("route")) == (404, "/nowhere", None)
    assert (method["status"], method["route"]) == (405, "/embed")
    assert (unread["status"], unread["client"]) == (400, "127.0.0.1")
    assert "path" not in unread and "method" not in unread
    assert (large["status"], large["route"], large["bytes_in"]) == (413, "/embed", 0)
    assert len({line["request_id"] for line in (missing, method, unread, large)}) == 4


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_client_can_forge_a_line(form):
    hostile = [b'/a"b', b"/a%0Ab%22", b"/\xc2\x9b31m", b"/\xff\xfe", b'/x"status=200', b"/a=b", b"/\\n"]
    with Server("--access-log", "all", "--log-format", form) as server:
        for path in hostile:
            field = b'X-Request-Id: a" status=200\r\nUser-Agent: "\x09"\r\n'
            server.raw(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n" + field + b"Connection: close\r\n\r\n", True)
        server.raw(b"PA\"TH / HTTP/1.1\r\nHost: a\r\n\r\n", True)
        server.raw(b"QU!RY / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", True)
        expected = len(hostile) + 2
        pattern = '"message":"request"' if form == "json" else " info request "
        assert wait_until(lambda: server.errors().count(pattern) == expected), server.errors()
        found = [line for line in server.errors().split("\n") if pattern in line]
    assert len(found) == expected
    for line in found:
        assert line.isascii() and line.isprintable()
        if form == "json":
            members = json.loads(line)
        else:
            # A shell's lexer reads quoted values as logfmt's readers do.
            members = dict(word.split("=", 1) for word in shlex.split(line)[3:])
            assert len(members) == len(shlex.split(line)[3:])
        assert int(members["status"]) in (400, 404, 501)
        assert re.fullmatch("[0-9a-f]{16}", members["request_id"])


def test_text_lines_are_logfmt():
    with Server("--access-log", "all") as server:
        server.get("/livez", headers={"X-Request-Id": "abc"})
        assert wait_until(lambda: "request_id=abc" in server.errors())
        [line] = [line for line in server.errors().splitlines() if "request_id=abc" in line]
    expected = (
        r"\S+Z info request request_id=abc client=127\.0\.0\.1 method=GET route=/livez path=/livez status=200 "
        r"bytes_in=0 bytes_out=15 duration_ms=\d+\.\d{3}"
    )
    assert re.fullmatch(expected, line), line


@pytest.mark.parametrize(
    "selection, statuses",
    [("off", []), ("errors", [404, 400]), ("sampled:4", [200, 200]), ("sampled:1", [200, 404, 400] + 6 * [200])],
)
def test_which_requests_have_a_line(selection, statuses):
    with Server("--access-log", selection, "--log-format", "json") as server:
        server.get("/livez")
        server.get("/nowhere")
        server.request("POST", "/embed", data=b"{", headers={"Content-Type": "application/json"})
        for _ in range(6):
            server.get("/livez")
    found = [json.loads(line) for line in server.errors().splitlines()]
    assert [line["status"] for line in found if line["message"] == "request"] == statuses


def test_sampled_holds_every_failure_of_the_service():
    with Server("--access-log", "sampled:1000000", "--log-format", "json", "--shutdown-delay", "2") as server:
        server.get("/livez")
        server.terminate()
        assert wait_until(lambda: server.get("/readyz").status_code == 503)
    found = [json.loads(line) for line in server.errors().splitlines()]
    assert {line["status"] for line in found if line["message"] == "request"} == {503}


def test_a_connection_that_breaks_within_a_body_has_a_line(logging):
    def act():
        with socket.create_connection(("127.0.0.1", logging.port)) as connection:
            head = b"POST /embed HTTP/1.1\r\nHost: x\r\nX-Request-Id: broken\r\nContent-Length: 100\r\n\r\n{"
            connection.sendall(head)
            assert wait_until(lambda: 'nearfar_connections{state="reading"} 1' in logging.get("/metrics").text)
            # Closing resets the connection.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert wait_until(lambda: "broken" in logging.errors())

    before = len(logged(logging, 0))
    act()
    [line] = [line for line in logged(logging, before + 1)[before:] if line["request_id"] == "broken"]
    assert (line["status"], line["bytes_in"], line["bytes_out"], line["route"]) == (499, 0, 0, "/embed")


def test_a_client_that_went_away_has_status_499(logging, lines):
    body = json.dumps({"inputs": [f"{number} " + "a text of some length " * 20 for number in range(3000)]}).encode()
    request = b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

    def act():
        with socket.create_connection(("127.0.0.1", logging.port), timeout=30) as client:
            client.sendall(request % len(body) + body)
            time.sleep(0.3)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    [line] = lines(1, act)
    assert (line["status"], line["bytes_out"], line["bytes_in"]) == (499, 0, len(body))


def test_the_line_names_the_trace(logging, lines):
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    answers = []

    def act():
        for value in [f"00-{trace}-{parent}-01", f"00-{trace.upper()}-{parent}-01"]:
            answers.append(logging.get("/livez", headers={"traceparent": value}))

    valid, invalid = lines(2, act)
    assert (valid["trace_id"], valid["parent_id"]) == (trace, parent)
    assert answers[0].headers["traceparent"] == f"00-{trace}-{valid['span_id']}-01"
    assert not {"trace_id", "parent_id", "span_id"} & set(invalid)
    assert "traceparent" not in answers[1].headers


@pytest.mark.parametrize("value", ["", "on", "sampled", "sampled:", "sampled:0", "sampled:-1", "sampled:1.5", "ALL"])
def test_other_values_are_refused(value):
    command = [BINARY, "serve", f"--access-log={value}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment())
    assert done.returncode == 2 and "--access-log" in done.stderr and "sampled:N" in done.stderr


def dropped(server_url):
    page = requests.get(f"{server_url}/metrics", timeout=30).text
    return int(re.search(r"^nearfar_log_lines_dropped_total (\d+)$", page, re.M)[1])


def test_nobody_waits_for_a_reader_of_standard_error():
    """Standard error is a pipe that nobody reads until the end: it holds 64 KiB, the queue 4 MiB."""
    reading, writing = os.pipe()
    command = [BINARY, "serve", "--port", "0", "--model", MODEL, "--access-log", "all"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writing, text=True, env=clean_environment())
    os.close(writing)
    try:
        port = int(READY.fullmatch(process.stdout.readline())[2])
        url = f"http://127.0.0.1:{port}"
        assert dropped(url) == 0
        # 1,000 lines with paths of 12,000 characters are 12 MB.
        piece = b"".join(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 12_000) for _ in range(50))
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            for _ in range(20):
                client.sendall(piece)
                answered = b""
                while answered.count(b"HTTP/1.1 404") < 50:
                    received = client.recv(1 << 20)
                    assert received
                    answered += received
        lost = dropped(url)
        assert 100 < lost < 1000
        began = time.monotonic()
        # The first reads make room, and then a line says what is missing.
        seen = b""
        while b"were dropped" not in seen:
            piece = os.read(reading, 1 << 20)
            assert piece and time.monotonic() - began < 60
            seen += piece
        # The request that asked for the metrics may have been dropped, too.
        assert int(re.search(rb"(\d+) lines of the log were dropped", seen)[1]) in (lost, lost + 1)
        # Nobody reads again, and still the process ends in time.
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reading)
