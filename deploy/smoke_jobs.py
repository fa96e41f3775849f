"""Asks a running service for its three jobs, and checks the values of the answers: smoke_jobs.py URL"""

import json
import math
import sys
import urllib.request


def call(url: str, body: object, method: str = "POST"):
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def main(url: str) -> None:
    rows = call(f"{url}/embed", {"inputs": ["near", "far"]})
    assert [len(row) for row in rows] == [384, 384], rows
    assert all(abs(math.hypot(*row) - 1) < 1e-5 for row in rows), rows
    # The values of the README's example, up to how the machine rounds: its processor may have products of bf16.
    four = call(f"{url}/embed", {"inputs": "near", "dimensions": 4})[0]
    wanted = [0.7564718, -0.12036002, -0.60873646, -0.20664878]
    assert all(abs(a - b) < 0.02 for a, b in zip(four, wanted)), four

    # Each query is at right angles to the other's key: the loss is log(1 + exp(-1 / 0.5)).
    loss = call(f"{url}/loss", {"queries": [[1, 0], [0, 1]], "keys": [[2, 0], [0, 2]], "temperature": 0.5})["loss"]
    assert abs(loss - math.log1p(math.exp(-2))) < 1e-6, loss

    points = [
        {"id": "cat", "text": "Cats purr when they are content."},
        {"id": "car", "text": "The engine needs a new gasket."},
    ]
    written = call(f"{url}/collections/default/points", {"points": points}, "PUT")
    assert written["upserted"] == 2, written
    found = call(f"{url}/neighbors", {"inputs": "a happy kitten", "k": 1})
    (nearest,) = found["results"][0]
    assert nearest["id"] == "cat" and abs(nearest["score"] - 0.4710058) < 0.01, found
    print("smoke: embed, loss and neighbors gave the right values")


main(sys.argv[1])
