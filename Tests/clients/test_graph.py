"""Compares a collection that is large enough for a graph with an exact search in numpy."""

import json

import numpy as np
import pytest
from tensors import pack

COUNT, DIM = 12_000, 32
RANDOM = np.random.default_rng(41)
CENTRES = RANDOM.standard_normal((60, DIM))
ROWS = (CENTRES[RANDOM.integers(0, 60, COUNT)] + 0.4 * RANDOM.standard_normal((COUNT, DIM))).astype("<f4")
QUERIES = (CENTRES[RANDOM.integers(0, 60, 50)] + 0.4 * RANDOM.standard_normal((50, DIM))).astype("<f4")
IDS = [f"{number:05d}" for number in range(COUNT)]
NAME = "graph-test"


@pytest.fixture(scope="module")
def collection(server):
    server.delete(f"/collections/{NAME}")
    assert server.put(f"/collections/{NAME}", {"dim": DIM, "metric": "euclidean"}).status_code == 201
    for start in range(0, COUNT, 4000):
        part = slice(start, start + 4000)
        metadata = [{"n": number, "part": number % 100} for number in range(COUNT)[part]]
        body = pack({"vectors": ROWS[part]}, {"ids": json.dumps(IDS[part]), "metadata": json.dumps(metadata)})
        kind = {"Content-Type": "application/x-safetensors"}
        response = server.request("PUT", f"/collections/{NAME}/points", data=body, headers=kind)
        assert response.status_code == 200, response.text
    yield NAME
    server.delete(f"/collections/{NAME}")


def search(server, **options):
    return server.ask("/neighbors", {"collection": NAME, "vectors": QUERIES.tolist(), "k": 10, **options})


def best_of(places):
    """The ten nearest of the given rows for each query, in order."""
    rows = ROWS[places].astype("f8")
    found = []
    for query in QUERIES.astype("f8"):
        order = np.argsort(np.linalg.norm(rows - query, axis=1), kind="stable")[:10]
        found.append([IDS[places[index]] for index in order])
    return found


def ids_of(answer):
    return [[item["id"] for item in found] for found in answer["results"]]


def recall(found, expected):
    return np.mean([len(set(one) & set(other)) / len(other) for one, other in zip(found, expected, strict=True)])


EVERY = np.arange(COUNT)


def test_exact(server, collection):
    answer = search(server, exact=True)
    assert answer["mode"] == "exact"
    assert ids_of(answer) == best_of(EVERY)


def test_the_graph(server, collection):
    answer = search(server, ef=200)
    assert answer["mode"] == "graph"
    assert recall(ids_of(answer), best_of(EVERY)) >= 0.95
    # The scores are bitwise equal to those of the exact search.
    exact = {item["id"]: item["score"] for item in search(server, exact=True, k=100)["results"][0]}
    assert all(exact[item["id"]] == item["score"] for item in answer["results"][0])


def test_more_candidates_find_no_less(server, collection):
    expected = best_of(EVERY)
    assert recall(ids_of(search(server, ef=10_000)), expected) >= recall(ids_of(search(server, ef=10)), expected)


@pytest.mark.parametrize("target", [0.5, 0.9, 0.97, 0.99, 1, None])
def test_recall_is_what_was_asked(server, collection, target):
    answer = search(server, recall_target=target)
    wanted = 0.97 if target is None else target
    assert answer["expected_recall"] >= wanted
    assert recall(ids_of(answer), best_of(EVERY)) >= wanted - 0.02
    if answer["mode"] == "graph":
        assert answer["ef"] >= 1
    else:
        assert "ef" not in answer and answer["expected_recall"] == 1
        assert ids_of(answer) == best_of(EVERY)
    if target == 1:
        assert answer["mode"] == "exact"


def test_what_was_measured_is_told(server, collection):
    search(server)
    graph = server.get("/info").json()["graphs"][NAME]
    assert graph["nodes"] >= COUNT and graph["recall_target"] == 0.97 and graph["expected_recall"] >= 0.97
    assert graph["measured"]["rows"] >= 50 and graph["measured"]["queries"] >= len(QUERIES)
    assert graph["measured"]["at"] > 1_700_000_000
    assert (graph["mode"] == "graph") == ("ef" in graph)
    text = server.get("/metrics").text
    label = f'collection="{NAME}"'
    assert f"nearfar_collection_expected_recall{{{label}}} 0.9" in text or f"nearfar_collection_expected_recall{{{label}}} 1" in text
    assert f'nearfar_collection_recall_queries{{{label},kind="rows"}}' in text
    assert f"nearfar_collection_recall_measured_timestamp_seconds{{{label}}} 1" in text


@pytest.mark.parametrize("target", [0.5, 0.99, 1])
def test_the_collections_own_target(server, collection, target):
    shape = {"dim": DIM, "metric": "euclidean"}
    asked = search(server, recall_target=target)
    answer = server.put(f"/collections/{NAME}", {**shape, "recall_target": target})
    assert (answer.status_code, answer.json()["count"], answer.json()["recall_target"]) == (200, COUNT, target)
    try:
        found = search(server)
        assert (found["mode"], found.get("ef")) == (asked["mode"], asked.get("ef"))
        assert found["expected_recall"] >= target
        graph = server.get("/info").json()["graphs"][NAME]
        assert graph["recall_target"] == target and graph["expected_recall"] >= target
        assert (graph["mode"], graph.get("ef")) == (found["mode"], found.get("ef"))
        # The target of a search takes precedence over the collection's.
        assert search(server, recall_target=1)["mode"] == "exact"
    finally:
        answer = server.put(f"/collections/{NAME}", {**shape, "recall_target": None})
    assert answer.json()["recall_target"] == server.get("/info").json()["graphs"][NAME]["recall_target"] == 0.97


def test_a_batch_answers_as_its_queries_alone(server, collection):
    together = search(server, ef=64)["results"]
    for row in range(5):
        body = {"collection": NAME, "vectors": [QUERIES[row].tolist()], "k": 10, "ef": 64}
        assert server.ask("/neighbors", body)["results"][0] == together[row]


@pytest.mark.parametrize("condition, keeps", [({"part": 7}, EVERY % 100 == 7), ({"n": {"$lt": 6000}}, EVERY < 6000)])
@pytest.mark.parametrize("options", [{"exact": True}, {"ef": 200}, {}], ids=str)
def test_filters(server, collection, condition, keeps, options):
    answer = search(server, filter=condition, **options)
    places = EVERY[keeps]
    allowed = {IDS[place] for place in places}
    assert all(len(found) == 10 and set(found) <= allowed for found in ids_of(answer))
    found, expected = ids_of(answer), best_of(places)
    if answer["mode"] == "exact":
        assert found == expected
    else:
        assert recall(found, expected) >= 0.95


def test_deleted_points_are_not_found(server, collection):
    gone = {found[0] for found in best_of(EVERY)}
    assert server.ask(f"/collections/{NAME}/points/delete", {"ids": sorted(gone)})["deleted"] == len(gone)
    for options in ({"ef": 200}, {"exact": True}):
        assert not gone & {identity for found in ids_of(search(server, **options)) for identity in found}
