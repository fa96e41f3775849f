"""After SIGTERM, requests in flight are finished, new ones are refused, and the exit code is 0."""

import contextlib
import http.client
import json
import resource
import socket
import threading
import time

import pytest
from certificates import Authority
from process import Server, wait_until

LONG = "cat sat on the mat and looked at the other cat " * 40


def test_an_idle_server_ends_at_once():
    server = Server()
    start = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start < 5


def test_an_idle_connection_is_closed():
    server = Server()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/livez")
    connection.getresponse().read()
    server.terminate()
    assert server.wait(10) == 0
    assert connection.sock.recv(1) == b""
    connection.close()


def test_a_request_in_flight_is_finished():
    # The batch takes a few seconds, and on a slow machine that does something else as well far more.
    server = Server("--drain-timeout", "110")
    found = {}

    def embed():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        body = json.dumps({"inputs": [f"{number} {LONG}" for number in range(256)], "encoding_format": "base64"})
        connection.request("POST", "/embed", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        found["status"] = response.status
        found["connection"] = response.getheader("Connection")
        found["rows"] = len(json.loads(response.read()))
        found["closed"] = connection.sock is None or connection.sock.recv(1) == b""
        connection.close()

    def ask(path, method="GET", body=None):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        answer = (response.status, response.getheader("Connection"), response.getheader("Retry-After"), response.read())
        connection.close()
        return answer

    assert ask("/readyz")[0] == 200
    thread = threading.Thread(target=embed)
    thread.start()
    time.sleep(0.3)
    server.terminate()
    # The listener stays open, so that a load balancer can see the 503.
    assert wait_until(lambda: ask("/readyz")[0] == 503, seconds=2)
    assert thread.is_alive(), "the batch is to last longer than this check"
    status, connection, retry, body = ask("/health")
    assert (status, connection) == (503, "close")
    assert retry is not None
    assert json.loads(body)["status"] == 503
    status, connection, _, _ = ask("/livez")
    assert (status, connection) == (200, "close")
    status, connection, retry, _ = ask("/embed", "POST", b'{"inputs": "too late"}')
    # While another request is in flight, a late one may still be served. When it is refused, Retry-After says when to try again.
    assert connection == "close"
    assert status == 200 or (status == 503 and int(retry) >= 0)
    thread.join(120)
    assert found == {"status": 200, "connection": "close", "rows": 256, "closed": True}
    assert server.wait(20) == 0


def test_an_incomplete_head_is_not_waited_for():
    server = Server()
    parts = [b"GET /liv", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A:", b"\r\n", b""]
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in parts]
    for connection, part in zip(connections, parts):
        connection.sendall(part)
    assert server.get("/livez").status_code == 200
    start = time.monotonic()
    server.terminate()
    assert server.wait(20) == 0
    # This is less than the head timeout of 10 s, so the server has not waited for the heads.
    assert time.monotonic() - start < 5
    for connection in connections:
        assert connection.recv(1) == b""
        connection.close()


def test_the_body_of_a_whole_head_is_waited_for():
    server = Server()
    body = b'{"inputs": "a"}'
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        connection.sendall(head % len(body) + body[:5])
        assert server.get("/livez").status_code == 200
        server.session.close()
        server.terminate()
        time.sleep(0.5)
        assert server.process.poll() is None
        connection.sendall(body[5:])
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert server.wait(20) == 0


def test_a_second_signal_does_not_break_the_drain():
    server = Server()
    server.terminate()
    server.terminate()
    assert server.wait(10) == 0


def once(server, path):
    """Status and body of a GET on a connection of its own: a kept one may be closed by the drain at any moment."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path)
    response = connection.getresponse()
    answer = (response.status, response.read().decode())
    connection.close()
    return answer


def test_a_delay_gives_a_balancer_the_time_to_notice():
    server = Server("--shutdown-delay", "5")
    start = time.monotonic()
    server.terminate()
    assert wait_until(lambda: once(server, "/readyz")[0] == 503, seconds=1)
    # What still comes is served, also on new connections, which are kept.
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for _ in range(2):
        connection.request("POST", "/embed", b'{"inputs": "late"}', {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert (response.status, response.getheader("Connection")) == (200, None)
        assert len(json.loads(response.read())) == 1
    connection.close()
    assert time.monotonic() - start < 4.8, "the checks were too slow for the delay"
    assert server.wait(20) == 0
    assert 4.9 < time.monotonic() - start < 15


def test_a_second_signal_ends_the_delay():
    server = Server("--shutdown-delay", "60")
    server.terminate()
    assert wait_until(lambda: once(server, "/readyz")[0] == 503, seconds=5)
    server.terminate()
    assert server.wait(20) == 0


def test_metrics_are_served_while_draining():
    server = Server()
    # A request whose body is awaited keeps the service from ending.
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as waiting:
        waiting.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{")
        assert once(server, "/livez")[0] == 200
        server.terminate()
        assert wait_until(lambda: once(server, "/readyz")[0] == 503, seconds=5)
        status, page = once(server, "/metrics")
        assert status == 200 and "nearfar_build_info" in page
        assert wait_until(lambda: once(server, "/collections")[0] == 503, seconds=5)
        waiting.sendall(b'"inputs": "a"}')
        assert waiting.recv(65536).startswith(b"HTTP/1.1 200 OK")
    assert server.wait(20) == 0


def begun(path, body, fields=""):
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode()


def read_answer(connection):
    """The status of one answer, read to its end."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_thousand_connections_in_every_state_end_in_the_time_of_docker_stop(tls, tmp_path):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    authority = Authority(tmp_path)
    flags, context = [], None
    if tls:
        chain, key = authority.issue("server")
        flags = ["--tls-cert", str(chain), "--tls-key", str(key)]
        context = authority.trusting()
    # The default of the drain timeout, which is what a container has.
    server = Server("--max-connections", "1000", *flags, environment={"NEARFAR_DRAIN_TIMEOUT": "8"})
    with contextlib.ExitStack() as open_:
        def connect(secured=tls):
            raw = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            return open_.enter_context(context.wrap_socket(raw, server_hostname="localhost") if secured else raw)

        text = b'{"inputs": "near"}'
        large = json.dumps({"queries": [[1.0] * 64] * 512, "keys": [[1.0] * 64] * 512, "return": ["loss", "gradients"]}).encode()
        answered = []
        for number in range(125):
            connect()
            answered.append(connect())
            answered[-1].sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_answer(answered[-1]) == 200
            connect().sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-")
            connect().sendall(begun("/embed", text) + text[:9])
            # Answers that are never read: openapi.yaml again and again, more than sockets hold.
            connect().sendall(b"GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n" * 60)
            # The end of a request that had to be refused: the server waits for the rest of the body, which does not come.
            connect().sendall(begun("/nowhere", text) + text[:9])
            # Refused for good: the server has ended its side and reads on.
            connect().sendall(b"GET /livez HTTP/1.1\r\n: x\r\n\r\n")
            # Half of a handshake, or nothing.
            connect(secured=False).sendall(b"\x16\x03\x01\x02\x00\x01" if tls else b"")
        for connection in answered:
            connection.sendall(begun("/loss", large) + large)
        time.sleep(0.5)
        start = time.monotonic()
        server.session.close()
        server.terminate()
        code = server.wait(30)
        taken = time.monotonic() - start
        assert taken < 10, f"{taken:.1f} s"
        # Some requests never come to their end, so that they are cut off.
        assert code == 1
        # Those that could be answered have been, unless the time was too short for so many.
        assert sum(read_answer(connection) == 200 for connection in answered[:20]) == 20
