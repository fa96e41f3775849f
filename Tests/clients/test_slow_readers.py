"""A client that reads slowly takes little of the kernel's memory, and gets the whole answer in the end."""

import socket
import time
from pathlib import Path

from process import Server


def waiting_to_be_sent(port: int, peer_port: int) -> int:
    """Bytes that the kernel holds for the connection from `port` to `peer_port` (proc(5), /proc/net/tcp: tx_queue)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].split(":")[1], 16) == port and int(fields[2].split(":")[1], 16) == peer_port:
            return int(fields[4].split(":")[0], 16)
    raise AssertionError("the connection is not listed")


def test_an_answer_stays_with_the_service_until_the_client_reads():
    requests = 12
    with Server() as server:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(30)
            client.connect(("127.0.0.1", server.port))
            client.sendall(b"GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n" * (requests - 1))
            client.sendall(b"GET /openapi.yaml HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            time.sleep(1)
            # What may be unsent, and what a small window lets out.
            held = waiting_to_be_sent(server.port, client.getsockname()[1])
            assert 1 <= held <= 80_000
            received = b""
            while piece := client.recv(65536):
                received += piece
    assert received.count(b"HTTP/1.1 200 OK\r\n") == requests
    assert received.count(b"openapi: 3") == requests
