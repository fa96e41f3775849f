"""Both engines give the same answers to the same requests."""

import json

import numpy as np
import pytest
from process import BINARY, Server, clean_environment

POINTS = "/collections/NAME/points"


def rows(count: int, dimension: int, seed: int = 1) -> np.ndarray:
    """Vectors in clusters, the same ones for every seed, so that there are near ones."""
    centres = np.random.default_rng(0).normal(size=(20, dimension))
    random = np.random.default_rng(seed)
    return (centres[random.integers(0, 20, count)] + 0.4 * random.normal(size=(count, dimension))).astype(np.float32)


def points(vectors, **more) -> list[dict]:
    return [
        {"id": f"p{i:05}", "vector": [float(x) for x in row], "metadata": {"n": i, "third": i % 3}, **more}
        for i, row in enumerate(vectors)
    ]


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("storage", ["halfvec", "vector"])
def test_exact_answers_are_the_same_bytes(pair, metric, storage):
    kept = pair(24, metric, storage)
    vectors = rows(2500, 24)
    kept.same("PUT", POINTS, {"points": points(vectors)}, 200)
    queries = [[float(x) for x in row] for row in rows(20, 24, seed=2)]
    ask = {"collection": "NAME", "vectors": queries, "exact": True}
    for more in (
        {},
        {"k": 1},
        {"k": 100, "include": []},
        {"k": 30, "include": ["vector", "metadata"]},
        {"filter": {"third": 1}},
        {"filter": {"n": {"$lt": 5}}},
        {"k": 3000},
        {"score_threshold": 0.9},
    ):
        kept.same("POST", "/neighbors", {**ask, **more}, 200)
    kept.same("POST", "/neighbors", {"collection": "NAME", "ids": ["p00001", "p02499"], "k": 5, "exact": True}, 200)
    kept.same("POST", "/neighbors", {"collection": "NAME", "ids": ["p00001"], "k": 2500, "exact": True}, 200)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("storage", ["halfvec", "vector"])
def test_values_that_a_half_does_not_hold(pair, metric, storage):
    """Values beyond and below its range, rows that differ in less than it can tell, and a row of zeros where that has a score."""
    kept = pair(8, metric, storage)
    random = np.random.default_rng(3)
    base = random.normal(size=8)
    near = [base * (1 + 1e-6 * i) + 1e-6 * random.normal(size=8) for i in range(300)]
    scales = [1e-38, 1e-30, 1e-8, 1, 7e4, 1e9, 1e18, 1e30, 3e37]
    vectors = near + [scale * random.normal(size=8) for scale in scales for _ in range(20)]
    if metric != "cosine":
        vectors.append(np.zeros(8))
    kept.same("PUT", POINTS, {"points": points(np.array(vectors, np.float32))}, 200)
    queries = [base, 1e30 * random.normal(size=8), 1e-30 * random.normal(size=8), 1e5 * random.normal(size=8)]
    if metric != "cosine":
        queries.append(np.zeros(8))
    for query in queries:
        values = [float(x) for x in np.float32(query)]
        for k in (1, 10, 200):
            kept.same("POST", "/neighbors", {"collection": "NAME", "vectors": [values], "k": k, "exact": True}, 200)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_equal_scores_are_in_the_order_of_ids(pair, metric):
    kept = pair(4, metric)
    same = [{"id": f"{(i * 7919) % 5000:05}", "vector": [1, 2, 3, 4]} for i in range(5000)]
    kept.same("PUT", POINTS, {"points": same}, 200)
    found = kept.same(
        "POST", "/neighbors", {"collection": "NAME", "vectors": [[4, 3, 2, 1]], "k": 20, "exact": True}, 200
    )
    assert [each["id"] for each in found["results"][0]] == [f"{i:05}" for i in range(20)]


def test_walks_find_most_and_score_exactly(pair):
    kept = pair(32)
    vectors = rows(4000, 32)
    kept.same("PUT", POINTS, {"points": points(vectors)}, 200)
    queries = [[float(x) for x in row] for row in rows(50, 32, seed=2)]
    hits = 0
    for body in ({"ef": 100}, {"recall_target": 0.95}, {}, {"ef": 60, "filter": {"third": {"$ne": 0}}}):
        ask = {"collection": kept.database, "vectors": queries, **body}
        walked = kept.server.ask("/neighbors", ask)
        assert walked["mode"] == "graph" and walked["ef"] == body.get("ef", walked["ef"])
        exact = {"collection": kept.memory, "vectors": queries, "k": 100, "exact": True, "filter": body.get("filter")}
        truth = kept.server.ask("/neighbors", exact)["results"]
        for found, best in zip(walked["results"], truth):
            scores = {each["id"]: each["score"] for each in best}
            assert len(found) == 10
            assert all(scores.get(each["id"], each["score"]) == each["score"] for each in found)
            hits += len({each["id"] for each in found} & {each["id"] for each in best[:10]})
    assert hits >= 0.95 * 4 * 50 * 10


def test_a_filter_that_few_points_match_is_answered_in_full(pair):
    kept = pair(16)
    kept.same("PUT", POINTS, {"points": points(rows(5000, 16))}, 200)
    body = {"collection": kept.database, "vectors": [[1.0] * 16], "ef": 10, "filter": {"n": {"$gte": 4988}}}
    found = kept.server.ask("/neighbors", body)["results"][0]
    truth = kept.server.ask("/neighbors", {**body, "collection": kept.memory, "ef": None, "exact": True})["results"][0]
    assert found == truth


def test_points_are_written_read_changed_and_deleted_alike(pair):
    kept = pair(3)
    made = [
        {"id": "é", "vector": [1, 0, 0], "metadata": {"a": 1.0, "z": {"b": [1, 2]}, "a ": None}, "text": "kept\u0000"},
        {"id": "e\u0301", "vector": [0, 1, 0]},
        {"id": "a\u0000b", "vector": [0, 0, -1e-3], "metadata": {}},
        {"id": "x" * 512, "vector": [1, 1, 1], "metadata": {"big": 18446744073709551615, "f": 1e300}},
    ]
    assert kept.same("PUT", POINTS, {"points": made}, 200) == {"version": 1, "upserted": 4}
    kept.same("GET", POINTS, status=200)
    kept.same("GET", f"{POINTS}?limit=2", status=200)
    kept.same("GET", f"{POINTS}?limit=2&after=a%00b", status=200)
    for each in ("%C3%A9", "e%CC%81", "a%00b", "x" * 512, "none"):
        kept.same("GET", f"{POINTS}/{each}")
    kept.same("POST", f"{POINTS}/list", {"include": ["vector", "text", "metadata"]}, 200)
    kept.same("POST", f"{POINTS}/list", {"limit": 1, "filter": {"big": {"$gt": 9223372036854775807}}}, 200)
    kept.same("POST", f"{POINTS}/count", {}, 200)
    kept.same("POST", f"{POINTS}/count", {"filter": {"z.b": 2}}, 200)
    changes = [
        {"id": "é", "metadata": {"a": None, "new": [1]}},
        {"id": "missing", "metadata": {}},
        {"id": "e\u0301", "metadata": {"first": True}},
    ]
    assert kept.same("PATCH", POINTS, {"points": changes}, 200)["missing"] == ["missing"]
    kept.same("GET", POINTS, status=200)
    kept.same("PATCH", POINTS, {"points": [{"id": "é", "metadata": None}], "mode": "replace"}, 200)
    kept.same("PATCH", POINTS, {"points": [{"id": "missing", "metadata": {"a": 1}}]}, 200)
    kept.same("POST", f"{POINTS}/count", {"filter": {"first": True}}, 200)
    kept.same("POST", f"{POINTS}/count", {"filter": {"new": 1}}, 200)
    # A point that is written again, with another vector or the same one.
    kept.same("PUT", POINTS, {"points": [{**made[0], "metadata": {"again": 1}}, {"id": "new", "vector": [9, 9, 9]}]}, 200)
    kept.same("POST", f"{POINTS}/count", {"filter": {"again": 1}}, 200)
    kept.same("POST", "/neighbors", {"collection": "NAME", "vectors": [[9, 9, 9.1]], "exact": True}, 200)
    kept.same("POST", f"{POINTS}/delete", {"ids": ["é", "é", "none"]}, 200)
    kept.same("POST", f"{POINTS}/delete", {"ids": ["none"]}, 200)
    kept.same("POST", f"{POINTS}/delete", {"ids": []})
    kept.same("POST", f"{POINTS}/delete", {"filter": {"big": {"$exists": True}}}, 200)
    kept.same("POST", f"{POINTS}/delete", {"filter": {"big": {"$exists": True}}}, 200)
    kept.same("POST", f"{POINTS}/delete", {"filter": {}}, 200)
    kept.same("GET", POINTS, status=200)
    kept.same("POST", "/neighbors", {"collection": "NAME", "vectors": [[9, 9, 9.1]]}, 200)


def test_errors_are_the_same(pair):
    kept = pair(3)
    kept.same("PUT", POINTS, {"points": [{"id": "a", "vector": [1, 2, 3]}]}, 200)
    ask = {"collection": "NAME"}
    for method, path, body in (
        ("PUT", POINTS, {"points": [{"id": "a", "vector": [1, 2]}]}),
        ("PUT", POINTS, {"points": [{"id": "a", "vector": [0, 0, 0]}]}),
        ("PUT", POINTS, {"points": [{"id": "a", "vector": [1, 0, 0]}, {"id": "a", "vector": [1, 0, 0]}]}),
        ("PUT", POINTS, {"points": [{"id": "", "vector": [1, 0, 0]}]}),
        ("PUT", POINTS, {"points": [{"id": "a", "text": "three values are not what the model gives"}]}),
        ("PUT", POINTS, {"points": []}),
        ("PUT", POINTS, {}),
        ("PUT", POINTS, {"points": [{"id": "a", "vector": [1, 0, 0]}], "more": 1}),
        ("PATCH", POINTS, {"points": [{"id": "a", "metadata": {}}, {"id": "a", "metadata": {}}]}),
        ("PATCH", POINTS, {"points": [{"id": "a", "metadata": 1}]}),
        ("GET", f"{POINTS}?limit=0", None),
        ("GET", f"{POINTS}?other=0", None),
        ("GET", f"{POINTS}/none", None),
        ("POST", f"{POINTS}/list", {"filter": {"a": {"$no": 1}}}),
        ("POST", f"{POINTS}/list", {"limit": 0}),
        ("POST", f"{POINTS}/count", {"filter": {"$and": []}}),
        ("POST", f"{POINTS}/delete", {}),
        ("POST", f"{POINTS}/delete", {"ids": ["a"], "filter": {}}),
        ("POST", "/neighbors", {**ask, "vectors": [[1, 2]]}),
        ("POST", "/neighbors", {**ask, "vectors": [[1, 2, 3], [0, 0, 0]]}),
        ("POST", "/neighbors", {**ask, "ids": ["a", "none"]}),
        ("POST", "/neighbors", {**ask, "inputs": ["three values are not what the model gives"]}),
        ("POST", "/neighbors", {**ask, "inputs": ["a"], "model": "none"}),
        ("POST", "/neighbors", {**ask, "vectors": [[1, 2, 3]], "exact": True, "ef": 3}),
        ("GET", "/collections/NAME/export?part=0", None),
        ("GET", "/collections/NAME/export?snapshot=1-1", None),
        ("PUT", "/collections/NAME", {"dim": 4, "engine": None}),
    ):
        (first, one), (second, two) = kept.both(method, path, body)
        assert first == second >= 400, (method, path, body, one, two)
        if path != "/collections/NAME":
            assert one == two, (method, path, body)
    # Nothing of what was refused is there.
    assert kept.same("GET", POINTS, status=200)["points"] == [{"id": "a", "vector": [1, 2, 3]}]


def test_texts_are_embedded_alike(pair):
    kept = pair(384)
    texts = ["a cat sleeps", "dogs bark at night", "the price of bread", "ships in the harbour"]
    made = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
    kept.same("PUT", POINTS, {"points": made}, 200)
    kept.same("GET", POINTS, status=200)
    kept.same("POST", "/neighbors", {"collection": "NAME", "inputs": ["animals", "boats"], "exact": True}, 200)
    described = [kept.server.get(f"/collections/{name}").json() for name in (kept.database, kept.memory)]
    assert [each["model"] is not None for each in described] == [True, True]
    for each in described:
        assert each.pop("engine") in ("pgvector", "memory")
        each.pop("storage", None)
        each.pop("name")
    assert described[0] == described[1]


def test_large_batches_and_safetensors(pair, tmp_path):
    import subprocess

    kept = pair(16)
    body = {"points": points(rows(6000, 16), text="x")}
    assert kept.same("PUT", POINTS, body, 200) == {"version": 1, "upserted": 6000}
    kept.same("PUT", POINTS, {"points": body["points"][:3000]}, 200)
    assert kept.same("POST", f"{POINTS}/count", {}, 200) == {"version": 2, "count": 6000}

    def run(*arguments):
        done = subprocess.run(
            [BINARY, *arguments, "--url", kept.server.url], capture_output=True, text=True, env=clean_environment()
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def content(path):
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        head = json.loads(data[8 : 8 + size])
        return head["__metadata__"]["ids"], head["__metadata__"]["metadata"], data[8 + size :]

    for name in (kept.database, kept.memory):
        run("export", "--collection", name, "--output", str(tmp_path / name))
    assert content(tmp_path / kept.database) == content(tmp_path / kept.memory)
    run("export", "--collection", kept.database, "--output", str(tmp_path / "parts"), "--shard-points", "2500")
    assert len(list(tmp_path.glob("parts-0000?-of-00003"))) == 3
    # From one engine to the other and back.
    try:
        run("import", "--collection", "moved.a", "--input", str(tmp_path / kept.memory), "--engine", "pgvector")
        assert kept.server.get("/collections/moved.a").json()["engine"] == "pgvector"
        run("export", "--collection", "moved.a", "--output", str(tmp_path / "a"))
        run("import", "--collection", "moved.b", "--input", str(tmp_path / "parts"))
        assert kept.server.get("/collections/moved.b").json()["engine"] == "memory"
        run("export", "--collection", "moved.b", "--output", str(tmp_path / "b"))
        assert content(tmp_path / "a") == content(tmp_path / "b") == content(tmp_path / kept.memory)
    finally:
        kept.server.delete("/collections/moved.a")
        kept.server.delete("/collections/moved.b")


def test_an_export_in_parts_has_one_version(pair):
    kept = pair(4)
    kept.same("PUT", POINTS, {"points": points(rows(30, 4))}, 200)
    path = f"/collections/{kept.database}/export"
    first = kept.server.get(f"{path}?part=20")
    link = first.headers["Link"].split(">")[0].lstrip("<")
    kept.server.post(f"/collections/{kept.database}/points/delete", {"filter": {}})
    second = kept.server.get(path + link)
    assert (first.status_code, second.status_code) == (200, 200)
    assert b"p00019" in first.content and b"p00029" in second.content and "Link" not in second.headers
    # What is complete is not kept.
    assert kept.server.get(path + link).status_code == 409
    assert kept.server.get(f"/collections/{kept.database}").json()["count"] == 0


def test_a_service_without_a_database_refuses_the_engine():
    with Server() as server:
        answer = server.put("/collections/a", {"dim": 3, "engine": "pgvector"})
        assert answer.status_code == 422 and answer.json()["param"] == "engine"
        assert "--store" in answer.json()["detail"]
        assert server.put("/collections/a", {"dim": 3, "engine": "memory"}).json()["engine"] == "memory"
