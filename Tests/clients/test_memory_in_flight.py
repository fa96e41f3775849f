"""--max-memory-in-flight: bodies wait instead of taking more, and what is announced takes nothing."""

import gzip
import os
import re
import socket
import threading

import pytest
from process import Server, wait_until

MIB = 1 << 20


def body(length):
    """A JSON body of exactly that length, whose loss is 0."""
    start, end = b'{"queries": [[1, 0]], "keys": [[1, 0]]', b"}"
    return start + b" " * (length - len(start) - len(end)) + end


def metric(server, name):
    return float(re.search(rf"(?m)^{name} (\S+)", server.get("/metrics").text)[1])


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def head(length):
    return f"POST /loss HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n".encode()


def answer(connection):
    text = b""
    while piece := connection.recv(65536):
        text += piece
    return text


@pytest.fixture(scope="module")
def small():
    with Server("--max-memory-in-flight", str(4 * MIB)) as running:
        yield running


def test_a_body_that_could_never_be_held_is_413(small):
    with connect(small) as connection:
        connection.sendall(head(4 * MIB + 1))
        reply = answer(connection)
        assert reply.startswith(b"HTTP/1.1 413 ") and str(4 * MIB).encode() in reply
    assert small.get("/info").json()["limits"]["max_memory_in_flight"] == 4 * MIB


def test_bodies_wait_for_each_other_and_all_are_answered(small):
    length = 3 * MIB
    text = body(length)
    clients = [connect(small) for _ in range(8)]
    for client in clients:
        client.sendall(head(length) + text[:MIB // 4])
    threads = []
    seen = []

    def finish(client):
        client.sendall(text[MIB // 4 :])
        seen.append(answer(client))

    # One after the other could hold 24 MiB; a small request is answered at any time.
    for client in clients:
        threads.append(threading.Thread(target=finish, args=[client]))
        threads[-1].start()
    for _ in range(20):
        assert small.ask("/loss", {"queries": [[1, 0]], "keys": [[1, 0]]})["loss"] == 0
        # The limit, one more body, and what each may have had before it was stopped.
        assert metric(small, "nearfar_body_bytes") < 4 * MIB + length + 8 * MIB // 2
    for thread in threads:
        thread.join(60)
    assert len(seen) == 8
    for reply in seen:
        assert reply.startswith(b"HTTP/1.1 200 ") and b'"loss":0' in reply
    for client in clients:
        client.close()
    assert wait_until(lambda: metric(small, "nearfar_body_bytes") == 0)
    assert metric(small, "nearfar_connections_held_back") == 0


def test_what_is_announced_takes_no_memory():
    gib = 1 << 30
    with Server("--max-body-bytes", str(gib), "--max-memory-in-flight", str(2 * gib), "--max-connections", "1100") as server:
        server.get("/livez")
        before = metric(server, "process_resident_memory_bytes")
        clients = [connect(server) for _ in range(1000)]
        for client in clients:
            client.sendall(head(gib) + b" " * 1000)
        assert wait_until(lambda: metric(server, "nearfar_body_bytes") == 1000 * 1000)
        assert metric(server, "process_resident_memory_bytes") - before < 64 * MIB
        assert server.ask("/loss", {"queries": [[1, 0]], "keys": [[1, 0]]})["loss"] == 0
        for client in clients:
            client.close()
        assert wait_until(lambda: metric(server, "nearfar_body_bytes") == 0)


def test_what_a_compressed_body_becomes_is_counted_and_given_back(small):
    sent = gzip.compress(os.urandom(20_000).hex().encode().join([b'{"queries": [[1, 0]], "keys": [[1, 0]], "x": "', b'"}']))
    fields = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert small.request("POST", "/loss", data=sent, headers=fields).status_code == 422
    assert wait_until(lambda: metric(small, "nearfar_body_bytes") == 0)


def test_info_says_what_the_process_may_use(server):
    info = server.get("/info").json()
    assert info["cpu"]["usable_cores"] >= 1
    assert {"quota_cores"} <= info["cpu"].keys()
    assert "limit_bytes" in info["memory"]
    assert info["limits"]["max_memory_in_flight"] >= MIB
    assert info["limits"]["max_connections_per_client"] == info["limits"]["max_requests_per_client"] == info["limits"]["max_requests_per_key"] == 0


def test_a_set_of_cores_decides_the_threads():
    core = min(os.sched_getaffinity(0))
    previous = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        with Server() as running:
            info = running.get("/info").json()
    finally:
        os.sched_setaffinity(0, previous)
    assert (info["threads"], info["cpu"]["usable_cores"]) == (1, 1)
