"""With an Idempotency-Key, a repeated write of points gets the first answer and changes nothing."""

import uuid

from problems import problem

POINT = {"id": "a", "vector": [1, 2]}


def keyed(server, method, path, body, key):
    return server.request(method, path, json=body, headers={"Idempotency-Key": key})


def test_repeated_writes(server, name):
    assert server.put(f"/collections/{name}", {"dim": 2}).status_code == 201
    key = str(uuid.uuid4())
    path = f"/collections/{name}/points"
    first = keyed(server, "PUT", path, {"points": [POINT]}, key)
    assert first.json() == {"version": 1, "upserted": 1}
    assert server.put(path, {"points": [{"id": "a", "vector": [5, 5]}]}).json()["version"] == 2
    again = keyed(server, "PUT", path, {"points": [POINT]}, key)
    assert again.json() == first.json()
    assert server.get(f"{path}/a").json()["vector"] == [5, 5]

    other = str(uuid.uuid4())
    deleted = keyed(server, "POST", f"{path}/delete", {"ids": ["a"]}, other)
    assert deleted.json() == {"version": 3, "deleted": 1}
    assert server.put(path, {"points": [POINT]}).status_code == 200
    assert keyed(server, "POST", f"{path}/delete", {"ids": ["a"]}, other).json() == deleted.json()
    assert server.get(f"/collections/{name}").json()["count"] == 1


def test_a_key_belongs_to_one_request(server, name):
    assert server.put(f"/collections/{name}", {"dim": 2}).status_code == 201
    key = str(uuid.uuid4())
    path = f"/collections/{name}/points"
    assert keyed(server, "PUT", path, {"points": [POINT]}, key).status_code == 200
    problem(keyed(server, "PUT", path, {"points": [{**POINT, "id": "b"}]}, key), 422, "Idempotency-Key")
    problem(keyed(server, "PUT", "/collections/default/points", {"points": [POINT]}, key), 422, "Idempotency-Key")
    problem(keyed(server, "POST", f"{path}/delete", {"ids": ["a"]}, key), 422, "Idempotency-Key")
    problem(keyed(server, "PUT", path, {"points": [POINT]}, "no spaces"), 422, "Idempotency-Key")


def test_a_refusal_is_repeated_too(server, name):
    assert server.put(f"/collections/{name}", {"dim": 2}).status_code == 201
    key = str(uuid.uuid4())
    body = {"points": [{"id": "a", "vector": [1, 2, 3]}]}
    for _ in range(2):
        problem(keyed(server, "PUT", f"/collections/{name}/points", body, key), 422, "points[0]")
