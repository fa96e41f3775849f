"""/embed of more than 1,024 texts, whose answer is sent while it is made."""

import contextlib
import json
import os
import re
import socket
import subprocess
import time

import numpy as np
import pytest
import requests
from process import Server, wait_until

COUNT = 3000


def texts_of(count):
    return [f"text number {number} of many" for number in range(count)]


@pytest.fixture(scope="module")
def small(server):
    """The vectors of all texts, from requests whose answers are made first, as text."""
    rows = []
    for start in range(0, COUNT, 1000):
        answer = server.post("/embed", {"inputs": texts_of(COUNT)[start : start + 1000], "dimensions": 8})
        assert "Content-Length" in answer.headers
        rows += re.findall(r"\[[^\[\]]+\]", answer.text)
    return rows


def test_its_rows_have_the_same_bytes_in_json(server, small):
    answer = server.post("/embed", {"inputs": texts_of(COUNT), "dimensions": 8})
    assert answer.headers["Transfer-Encoding"] == "chunked" and "Content-Length" not in answer.headers
    assert answer.text == "[" + ",".join(small) + "]"
    # The connection goes on.
    assert server.get("/livez").status_code == 200


@pytest.mark.parametrize("flags", [["--http1.0"], ["--compressed"], ["--max-time", "120"]])
def test_curl_reads_it(server, small, flags, tmp_path):
    (tmp_path / "body").write_text(json.dumps({"inputs": texts_of(COUNT), "dimensions": 8}))
    command = ["curl", "-sS", "--noproxy", "*", *flags, "-H", "Content-Type: application/json", "-H", "Expect:", "--data-binary", "@body"]
    done = subprocess.run([*command, server.url + "/embed"], cwd=tmp_path, capture_output=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == "[" + ",".join(small) + "]"


def test_safetensors_have_a_length(server, small):
    answer = server.post("/embed", {"inputs": texts_of(COUNT), "dimensions": 8}, headers={"Accept": "application/x-safetensors"})
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    start = 8 + int.from_bytes(answer.content[:8], "little")
    rows = np.frombuffer(answer.content[start:], "f4").reshape(-1, 8)
    assert np.array_equal(rows, np.array([json.loads(row) for row in small], "f4"))


def encoded(server):
    return int(re.search(r"nearfar_encode_texts_total (\d+)", server.get("/metrics").text)[1])


def test_the_first_rows_come_while_the_last_are_made_and_a_client_that_goes_ends_the_work():
    with Server() as server:
        body = json.dumps({"inputs": texts_of(100_000)}).encode()
        before = resident(server)
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(server.url + "/embed", data=body, headers={"Content-Type": "application/json"}, stream=True, timeout=120)
            piece = next(answer.iter_content(10_000))
            assert piece.startswith(b"[[") and encoded(server) < 10_000
            # The client reads nothing for a while: a few pieces are made ahead, and then nothing more.
            assert wait_until(lambda: steady(server), seconds=60)
            assert encoded(server) < 20_000
            # 100,000 texts have 154 MB of vectors, and their answer some 460 MB.
            assert resident(server) - before < 150 << 20
            answer.close()
        done = encoded(server)
        assert wait_until(lambda: steady(server), seconds=60)
        assert encoded(server) - done < 2000
        assert server.post("/embed", {"inputs": "a"}).status_code == 200


def steady(server):
    before = encoded(server)
    time.sleep(1)
    return encoded(server) == before


def resident(server):
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_time_that_runs_out_ends_the_connection_within_the_answer():
    body = json.dumps({"inputs": [f"another {text}" for text in texts_of(3000)]}).encode()
    head = f"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Request-Timeout-Ms: 8000\r\nContent-Length: {len(body)}\r\n\r\n"
    # A service that has measured nothing takes this for work of some three seconds.
    with Server() as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(head.encode() + body)
        # The client reads nothing until the time is over, which holds up the work.
        time.sleep(9)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(1 << 20):
                answer += piece
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    # Its last chunk is missing, so that no client takes the part for the whole.
    assert len(answer) > 1_000_000 and b"\r\n0\r\n" not in answer[-100:]


def test_a_request_in_flight_is_counted_until_its_answer_is_whole():
    with Server("--max-requests-per-client", "1") as server, requests.Session() as session:
        session.trust_env = False
        answer = session.post(server.url + "/embed", json={"inputs": texts_of(6000)}, stream=True, timeout=120)
        pieces = answer.iter_content(1 << 16)
        first = next(pieces)
        assert server.post("/embed", {"inputs": "a"}).status_code == 429
        assert len(json.loads(first + b"".join(pieces))) == 6000
        assert wait_until(lambda: server.post("/embed", {"inputs": "a"}).status_code == 200)
