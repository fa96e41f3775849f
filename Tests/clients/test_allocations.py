"""The allocations of memory that a small request costs on a connection that is kept.

The budgets are what was measured, so that one more is noticed. Whoever adds one has a reason, and raises the number.
"""

import mmap
import os
import re
import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest
from process import Server

REQUESTS = 2000


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """A server under the counting library, and a function that tells how many allocations it has made."""
    folder = tmp_path_factory.mktemp("allocations")
    library, page = folder / "count_allocations.so", folder / "count"
    compiler = shutil.which("cc") or shutil.which("clang")
    source = Path(__file__).with_name("count_allocations.c")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    with open(page, "w+b") as file:
        file.truncate(4096)
        count = mmap.mmap(file.fileno(), 4096)
    with Server(environment={"LD_PRELOAD": str(library), "COUNT_ALLOCATIONS": str(page)}) as server:
        yield server, lambda: struct.unpack("Q", count[:8])[0]


def post(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def exchange(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(request)
    answer = b""
    while True:
        answer += connection.recv(65536)
        head, end, body = answer.partition(b"\r\n\r\n")
        if end and len(body) >= int(re.search(rb"Content-Length: (\d+)", head)[1]):
            return answer


@pytest.mark.parametrize(
    "request_, budget",
    [
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", 1),
        (post("/tokenize", b'{"inputs": "a"}'), 54),
        (post("/loss", b'{"queries": [[1, 0]], "keys": [[1, 0]]}'), 84),
    ],
    ids=["GET /livez", "POST /tokenize", "POST /loss"],
)
def test_a_small_request_keeps_to_its_budget(counted, request_, budget):
    server, allocations = counted
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        # What is made once, such as the room of buffers, is made by the first requests.
        for _ in range(200):
            assert exchange(connection, request_).startswith(b"HTTP/1.1 200 ")
        before = allocations()
        for _ in range(REQUESTS):
            exchange(connection, request_)
        # Timers and other threads of the process are counted as well: a fraction of one for each request.
        assert (allocations() - before) / REQUESTS <= budget + 0.5
