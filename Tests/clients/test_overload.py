"""Deadlines, full queues, and small requests beside large ones."""

import http.client
import json
import threading
import time

import pytest
from process import Server

WORDS = "the cat sat on the mat and looked at the other cat that was there before it came home "


def large(texts=3000):
    return {"inputs": [f"{number} {WORDS}" for number in range(texts)], "encoding_format": "base64"}


@pytest.mark.parametrize("value", ["0", "-1", "abc", "1.5", "86400001", "1e3", ""])
def test_a_malformed_deadline_is_an_error_that_names_it(server, value):
    answer = server.post("/embed", {"inputs": "a"}, headers={"X-Request-Timeout-Ms": value})
    assert answer.status_code == 422
    assert answer.json()["param"] == "X-Request-Timeout-Ms"


def test_a_deadline_that_can_be_met_changes_nothing(server):
    plain = server.post("/embed", {"inputs": "a"})
    timed = server.post("/embed", {"inputs": "a"}, headers={"X-Request-Timeout-Ms": "60000"})
    assert (timed.status_code, timed.json()) == (200, plain.json())


def test_work_that_cannot_meet_its_deadline_is_not_done(server):
    began = time.monotonic()
    answer = server.post("/embed", large(), headers={"X-Request-Timeout-Ms": "100"})
    assert answer.status_code in (503, 504), answer.text
    if answer.status_code == 503:
        assert int(answer.headers["Retry-After"]) >= 1
    # All of it takes several seconds.
    assert time.monotonic() - began < 2
    assert server.get("/livez").status_code == 200


def test_a_default_deadline_can_be_set():
    with Server("--request-timeout", "0.1") as running:
        assert running.post("/embed", {"inputs": "a"}).status_code == 200
        assert running.post("/embed", large()).status_code in (503, 504)
        # The request's own word counts more.
        body = large(200)
        assert running.post("/embed", body, headers={"X-Request-Timeout-Ms": "60000"}).status_code == 200


def test_a_full_queue_refuses_at_once_and_the_connection_stays():
    with Server("--queue-timeout", "0.5") as running:
        waiting = [threading.Thread(target=running.post, args=("/embed", large(4000))) for _ in range(3)]
        for thread in waiting:
            thread.start()
            time.sleep(0.1)
        time.sleep(0.5)
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        body = json.dumps({"inputs": [f"{number} {WORDS}" for number in range(100)]})
        for _ in range(3):
            began = time.monotonic()
            connection.request("POST", "/embed", body, {"Content-Type": "application/json"})
            socket = connection.sock
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status == 503, text
            assert int(answer.getheader("Retry-After")) >= 1
            assert json.loads(text)["status"] == 503 and "busy" in text
            assert time.monotonic() - began < 1
            assert connection.sock is socket
        # What is small is still done, before what is large.
        connection.request("POST", "/embed", json.dumps({"inputs": "a"}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
        assert any(thread.is_alive() for thread in waiting)
        connection.close()
        for thread in waiting:
            thread.join(120)


def test_equal_requests_end_one_after_another():
    with Server() as running:
        ends, body = [], large(300)

        def ask():
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=300)
            connection.request("POST", "/embed", json.dumps(body), {"Content-Type": "application/json"})
            assert connection.getresponse().read()
            ends.append(time.monotonic() - began)
            connection.close()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # By turns all would end near the last.
        assert sorted(ends)[3] < 0.8 * max(ends), ends
