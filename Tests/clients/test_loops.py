"""A service with several event loops answers as one with a single loop does."""

import http.client
import json
import re
import threading

import pytest
from process import Server, wait_until

LOOPS = 3


def connect(server):
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)


def ask(connection, path, body=None):
    headers = {"Content-Type": "application/json"} if body else {}
    connection.request("POST" if body else "GET", path, body, headers)
    response = connection.getresponse()
    return response.status, response.read()


@pytest.fixture(scope="module")
def loops():
    with Server("--loops", str(LOOPS), "--max-connections", "40") as running:
        yield running


def test_each_of_many_clients_gets_its_own_answers(loops, server):
    texts = [f"text {number}" for number in range(8)]
    expected = [server.ask("/embed", {"inputs": text}) for text in texts]
    wrong = []

    def client(number):
        for round in range(3):
            connection = connect(loops)
            for turn in range(8):
                which = (number + turn) % 8
                status, body = ask(connection, "/embed", json.dumps({"inputs": texts[which]}))
                if status != 200 or json.loads(body) != expected[which]:
                    wrong.append((number, round, turn, status))
                if ask(connection, "/livez") != (200, b'{"status":"ok"}'):
                    wrong.append((number, round, turn))
            connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert wrong == []
    page = loops.get("/metrics").text
    assert 'http_server_request_duration_seconds_count{http_request_method="POST",http_route="/embed",http_response_status_code="200"} 288\n' in page
    assert 'http_server_request_duration_seconds_count{http_request_method="GET",http_route="/livez",http_response_status_code="200"} 288\n' in page
    assert 'nearfar_connections_rejected_total{reason="room"} 0\n' in page


def test_the_limit_on_connections_holds_for_all_loops_together(loops):
    loops.session.close()
    assert wait_until(lambda: loops.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200"))

    def statuses(connections):
        return [ask(connection, "/livez")[0] for connection in connections]

    # One that has just been closed may still be counted.
    def open_now():
        return sum(int(count) for count in re.findall(r"^nearfar_connections\{.*\} (\d+)$", loops.get("/metrics").text, re.M))

    assert wait_until(lambda: open_now() == 1)
    loops.session.close()
    connections = [connect(loops) for _ in range(40)]
    assert statuses(connections) == [200] * 40
    assert statuses([connect(loops)]) == [503]
    for connection in connections:
        connection.close()
    assert wait_until(lambda: loops.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200"))


def test_requests_in_every_loop_are_finished_after_sigterm():
    server = Server("--loops", str(LOOPS))
    body = b'{"inputs": "a"}'
    head = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    connections = [connect(server) for _ in range(2 * LOOPS)]
    for connection in connections:
        connection.connect()
        connection.sock.sendall(head + body[:4])
    idle = [connect(server) for _ in range(LOOPS)]
    assert [ask(connection, "/readyz")[0] for connection in idle] == [200] * LOOPS
    server.terminate()
    for connection in idle:
        assert connection.sock.recv(1) == b""
    # New connections are still answered.
    probe = connect(server)
    assert ask(probe, "/readyz")[0] == 503
    for connection in connections:
        assert server.process.poll() is None
        connection.sock.sendall(body[4:])
        answer = b""
        while piece := connection.sock.recv(65536):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 200 ") and b"\r\nConnection: close\r\n" in answer
        connection.close()
    assert server.wait(20) == 0


def test_a_request_that_takes_too_long_is_cut_off_in_any_loop():
    server = Server("--loops", str(LOOPS), "--drain-timeout", "1")
    connections = [connect(server) for _ in range(LOOPS)]
    for connection in connections[:-1]:
        assert ask(connection, "/livez")[0] == 200
    connections[-1].connect()
    connections[-1].sock.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    assert ask(connections[0], "/livez")[0] == 200
    server.terminate()
    assert server.wait(10) == 1
    assert "cut off" in server.errors()
