"""With many clients at once, every answer is right, and a long batch does not delay short texts."""

import http.client
import json
import random
import threading
import time

import numpy as np
from golden import BY_TEXT, LOSSES, TEXTS, assert_loss, assert_vectors, decode

SECONDS = 4


def post(connection, path, body):
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    assert response.status == 200, content[:500]
    return json.loads(content)


def test_mixed_requests_of_eight_clients(server):
    name = "crowd-test"
    server.delete(f"/collections/{name}")
    assert server.put(f"/collections/{name}", {"dim": 2, "metric": "cosine"}).status_code == 201
    points = [{"id": f"{angle:03d}", "vector": [np.cos(angle / 50), np.sin(angle / 50)]} for angle in range(150)]
    assert server.put(f"/collections/{name}/points", {"points": points}).status_code == 200
    rows = {
        text: row
        for text, row in zip(TEXTS, server.ask("/embed", {"inputs": TEXTS, "encoding_format": "base64"}), strict=True)
    }
    short = [text for text in TEXTS if len(text) < 200]
    failures, done = [], []
    end = time.monotonic() + SECONDS

    def client(seed):
        chance = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        try:
            while time.monotonic() < end:
                kind = chance.randrange(5)
                if kind == 0:
                    texts = chance.choices(TEXTS, k=chance.randint(1, 6))
                    found = post(connection, "/embed", {"inputs": texts, "encoding_format": "base64"})
                    # The bytes are those that the text gave in another batch, without other clients.
                    assert found == [rows[text] for text in texts]
                elif kind == 1:
                    text = chance.choice(short)
                    assert_vectors(post(connection, "/embed", {"inputs": text}), BY_TEXT[text][None])
                elif kind == 2:
                    text = chance.choice(short)
                    found = post(
                        connection, "/v1/embeddings", {"model": "m", "input": [text], "encoding_format": "base64"}
                    )
                    assert np.array_equal(decode(found["data"][0]["embedding"]), decode(rows[text]))
                elif kind == 3:
                    case = chance.choice(LOSSES["cases"])
                    found = post(connection, "/loss", {**case["request"], "return": ["loss"]})
                    assert_loss(found["loss"], case["loss"], case["request"].get("temperature", 0.07))
                else:
                    angle = chance.randrange(150)
                    query = [float(np.cos(angle / 50)), float(np.sin(angle / 50))]
                    found = post(connection, "/neighbors", {"collection": name, "vectors": [query], "k": 1})
                    assert found["results"][0][0]["id"] == f"{angle:03d}"
                done.append(kind)
        except Exception as error:  # The failure of a thread makes the test fail.
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 120)
    server.delete(f"/collections/{name}")
    if failures:
        raise failures[0]
    assert set(done) == set(range(5))
    assert len(done) > 100


def test_a_long_batch_does_not_hold_up_short_texts(server):
    long = [f"{number} " + "the archive keeps letters and maps " * 60 for number in range(512)]
    finished = []

    def batch():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
        rows = post(connection, "/embed", {"inputs": long, "encoding_format": "base64"})
        finished.append("long")
        assert len(rows) == len(long)
        connection.close()

    thread = threading.Thread(target=batch)
    thread.start()
    time.sleep(0.3)
    for _ in range(5):
        server.ask("/embed", {"inputs": "a short text"})
        finished.append("short")
    thread.join(300)
    # The order is checked instead of times: five short texts, one after another, overtake a batch that began before them.
    assert finished == ["short"] * 5 + ["long"]


def test_searches_see_whole_batches(server):
    name = "atomic-test"
    server.delete(f"/collections/{name}")
    assert server.put(f"/collections/{name}", {"dim": 2, "metric": "cosine"}).status_code == 201
    stop = threading.Event()
    wrong = []

    def reader():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while not stop.is_set():
            body = {"collection": name, "vectors": [[1, 0]], "k": 10, "include": ["metadata"]}
            found = post(connection, "/neighbors", body)["results"][0]
            # All ten points must be of the same write, never some of one and some of another.
            if len(found) not in (0, 10) or len({item["metadata"]["round"] for item in found}) > 1:
                wrong.append(found)
        connection.close()

    threads = [threading.Thread(target=reader) for _ in range(3)]
    for thread in threads:
        thread.start()
    version = 0
    for number in range(60):
        points = [{"id": str(place), "vector": [1, place], "metadata": {"round": number}} for place in range(10)]
        answer = server.put(f"/collections/{name}/points", {"points": points}).json()
        assert answer["version"] > version
        version = answer["version"]
    stop.set()
    for thread in threads:
        thread.join(60)
    server.delete(f"/collections/{name}")
    assert not wrong
