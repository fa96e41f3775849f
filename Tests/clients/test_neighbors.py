"""Compares /neighbors with an exact search in numpy."""

import numpy as np
import pytest
from golden import BY_TEXT
from problems import problem

COUNT, DIM = 400, 24
RANDOM = np.random.default_rng(11)
ROWS = RANDOM.standard_normal((COUNT, DIM)).astype("f4")
# Copies of earlier rows, and one that differs in its length only, so that scores tie.
ROWS[200:210] = ROWS[100:110]
ROWS[210] = ROWS[110] * 2
IDS = [f"p{number:03d}" for number in RANDOM.permutation(COUNT)]
QUERIES = RANDOM.standard_normal((17, DIM)).astype("f4")
QUERIES[0] = ROWS[103]
QUERIES[1] = ROWS[210]


def scores_of(queries):
    queries = np.asarray(queries, "f8")
    rows = ROWS.astype("f8")
    return (queries @ rows.T) / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(rows, axis=1)


@pytest.fixture(scope="module")
def collection(server):
    name = "neighbors-test"
    server.delete(f"/collections/{name}")
    assert server.put(f"/collections/{name}", {"dim": DIM, "metric": "cosine"}).status_code == 201
    points = [
        {"id": identity, "vector": row.tolist(), "metadata": {"row": index}}
        for index, (identity, row) in enumerate(zip(IDS, ROWS, strict=True))
    ]
    for start in range(0, COUNT, 150):
        assert server.put(f"/collections/{name}/points", {"points": points[start : start + 150]}).status_code == 200
    yield name
    server.delete(f"/collections/{name}")


def assert_exact(results, scores, k, left_out=None):
    """Checks that scores are right, best first, ties in the order of ids, and that no better point is missing."""
    assert len(results) == len(scores)
    for place, (found, row) in enumerate(zip(results, scores, strict=True)):
        by_id = {identity: score for identity, score in zip(IDS, row, strict=True)}
        if left_out is not None:
            del by_id[left_out[place]]
        assert len(found) == min(k, len(by_id))
        found_scores = np.array([item["score"] for item in found])
        assert np.allclose(found_scores, [by_id[item["id"]] for item in found], atol=1e-6)
        for before, after in zip(found, found[1:], strict=False):
            assert before["score"] > after["score"] or (
                before["score"] == after["score"] and before["id"] < after["id"]
            )
        best = sorted(by_id.values(), reverse=True)[: len(found)]
        assert np.allclose(found_scores, best, atol=1e-6)
        assert len({item["id"] for item in found}) == len(found)


@pytest.mark.parametrize("k", [1, 2, 10, 399, 400, 10000])
def test_vectors(server, collection, k):
    answer = server.ask("/neighbors", {"collection": collection, "vectors": QUERIES.tolist(), "k": k})
    assert answer["collection"] == collection
    assert answer["mode"] == "exact"
    assert answer["version"] == server.get(f"/collections/{collection}").json()["version"]
    assert_exact(answer["results"], scores_of(QUERIES), k)
    if k > COUNT:
        assert len(answer["short_reasons"]) == len(QUERIES)
        assert all(answer["short_reasons"])
    else:
        assert not any(answer.get("short_reasons") or [])


def test_ten_by_default(server, collection):
    answer = server.ask("/neighbors", {"collection": collection, "vectors": QUERIES[:2].tolist()})
    assert_exact(answer["results"], scores_of(QUERIES[:2]), 10)


def test_scores_are_cosines_of_any_length(server, collection):
    long = (QUERIES[:3] * 1e3).tolist()
    answer = server.ask("/neighbors", {"collection": collection, "vectors": long, "k": 5})
    assert_exact(answer["results"], scores_of(QUERIES[:3]), 5)


def test_ties_stand_in_the_order_of_ids(server, collection):
    best = server.ask("/neighbors", {"collection": collection, "vectors": [ROWS[103].tolist()], "k": 2})["results"][0]
    assert [item["id"] for item in best] == sorted([IDS[103], IDS[203]])
    assert best[0]["score"] == best[1]["score"] == pytest.approx(1, abs=1e-6)


def test_ties_when_only_one_fits(server, collection):
    best = server.ask("/neighbors", {"collection": collection, "vectors": [ROWS[103].tolist()], "k": 1})["results"][0]
    assert [item["id"] for item in best] == [min(IDS[103], IDS[203])]


def test_stored_points_as_queries_leave_themselves_out(server, collection):
    places = [103, 203, 7, 210]
    identities = [IDS[place] for place in places]
    answer = server.ask("/neighbors", {"collection": collection, "ids": identities, "k": 6})
    assert_exact(answer["results"], scores_of(ROWS[places]), 6, left_out=identities)
    assert answer["results"][0][0]["id"] == IDS[203]
    assert answer["results"][1][0]["id"] == IDS[103]


def test_all_others_of_a_stored_point(server, collection):
    answer = server.ask("/neighbors", {"collection": collection, "ids": [IDS[0]], "k": COUNT})
    assert len(answer["results"][0]) == COUNT - 1
    assert answer["short_reasons"][0]


def test_include(server, collection):
    def first(include):
        body = {"collection": collection, "vectors": [ROWS[50].tolist()], "k": 1, "include": include}
        return server.ask("/neighbors", body)["results"][0][0]

    assert first([]) == {"id": IDS[50], "score": pytest.approx(1, abs=1e-6)}
    assert set(first(["metadata"])) == {"id", "score", "metadata"}
    assert first(["metadata"])["metadata"] == {"row": 50}
    assert np.array_equal(np.array(first(["vector"])["vector"], "f4"), ROWS[50])
    assert "metadata" not in first(["vector"])
    # A point without a text has no `text`, even when it is requested.
    assert first(["text", "metadata"]).get("text") is None


def test_a_batch_answers_as_its_queries_alone(server, collection):
    together = server.ask("/neighbors", {"collection": collection, "vectors": QUERIES.tolist(), "k": 7})["results"]
    for query, found in zip(QUERIES, together, strict=True):
        alone = server.ask("/neighbors", {"collection": collection, "vectors": [query.tolist()], "k": 7})["results"]
        assert alone == [found]


@pytest.mark.parametrize("exact", [True, False])
def test_exact_or_not(server, collection, exact):
    answer = server.ask(
        "/neighbors", {"collection": collection, "vectors": [[1] * DIM], "exact": exact, "ef": None, "filter": None}
    )
    assert answer["mode"] == "exact"
    assert_exact(answer["results"], scores_of([[1] * DIM]), 10)


@pytest.mark.parametrize("exact", [True, False])
def test_equal_vectors_score_exactly_one(server, collection, exact):
    body = {"collection": collection, "k": 5, "score_threshold": 1, "exact": exact}
    for row in range(100, 110):
        twins = sorted([IDS[row], IDS[row + 100]])
        found = server.ask("/neighbors", {**body, "vectors": [ROWS[row].tolist()]})["results"][0]
        assert [item["id"] for item in found] == twins
        assert [item["score"] for item in found] == [1, 1]
        # A stored point is not in its own list, but its copy is.
        found = server.ask("/neighbors", {**body, "ids": [IDS[row]]})["results"][0]
        assert [(item["id"], item["score"]) for item in found] == [(IDS[row + 100], 1)]
    everything = server.ask("/neighbors", {"collection": collection, "vectors": ROWS.tolist(), "k": 400, "exact": exact})
    scores = [item["score"] for found in everything["results"] for item in found]
    assert -1 <= min(scores) and max(scores) == 1
    own = [next(item for item in found if item["id"] == IDS[row]) for row, found in enumerate(everything["results"])]
    assert {item["score"] for item in own} == {1}


def test_the_distance_of_equal_vectors_is_zero(server, name):
    server.put(f"/collections/{name}", {"dim": DIM, "metric": "euclidean"})
    server.put(f"/collections/{name}/points", {"points": [{"id": "a", "vector": ROWS[0].tolist()}]})
    answer = server.post("/neighbors", {"collection": name, "vectors": [ROWS[0].tolist()], "k": 1})
    assert answer.json()["results"] == [[{"id": "a", "score": 0}]]
    assert '"score":0}' in answer.text


def test_similarity_of_a_text_with_itself_is_one(server):
    texts = ["The cat sits on the mat.", "Stocks fell sharply on Friday.", "a", "naïve café"]
    for text in texts:
        scores = server.ask("/similarity", {"inputs": {"source_sentence": text, "sentences": texts}})
        assert scores[texts.index(text)] == 1 and all(-1 <= score <= 1 for score in scores)


def test_score_threshold(server, collection):
    scores = np.sort(scores_of(QUERIES[5:6])[0])[::-1]
    threshold = float((scores[3] + scores[4]) / 2)
    body = {"collection": collection, "vectors": QUERIES[5:6].tolist(), "k": 10, "score_threshold": threshold}
    answer = server.ask("/neighbors", body)
    assert np.allclose([item["score"] for item in answer["results"][0]], scores[:4], atol=1e-6)
    assert "threshold" in answer["short_reasons"][0]


def test_an_empty_collection(server):
    server.delete("/collections/empty-test")
    assert server.put("/collections/empty-test", {"dim": 2, "metric": "cosine"}).status_code == 201
    answer = server.ask("/neighbors", {"collection": "empty-test", "vectors": [[1, 0], [0, 1]], "k": 3})
    assert answer["results"] == [[], []]
    assert len(answer["short_reasons"]) == 2 and all(answer["short_reasons"])
    server.delete("/collections/empty-test")


def test_every_later_search_sees_a_write(server):
    name = "visible-test"
    server.delete(f"/collections/{name}")
    assert server.put(f"/collections/{name}", {"dim": 2, "metric": "cosine"}).status_code == 201

    def best():
        return [
            item["id"]
            for item in server.ask("/neighbors", {"collection": name, "vectors": [[1, 0]], "k": 1})["results"][0]
        ]

    for number in range(20):
        near = {"id": f"n{number:02d}", "vector": [1, 1 / (number + 1)]}
        assert server.put(f"/collections/{name}/points", {"points": [near]}).status_code == 200
        assert best() == [near["id"]]
    assert server.put(f"/collections/{name}/points", {"points": [{"id": "n19", "vector": [-1, 0]}]}).status_code == 200
    assert best() == ["n18"]
    assert server.ask(f"/collections/{name}/points/delete", {"ids": ["n18"]})["deleted"] == 1
    assert best() == ["n17"]
    server.delete(f"/collections/{name}")


def test_texts_in_the_default_collection(server):
    texts = {
        "mat": "The cat sits on the mat.",
        "rates": "Interest rates rose by 0.25 percentage points in June.",
        "bank": "the central bank made borrowing more expensive",
        "code": "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)",
    }
    points = [{"id": key, "text": text, "metadata": {"key": key}} for key, text in texts.items()]
    assert server.put("/collections/default/points", {"points": points}).status_code == 200
    query = "A feline rests upon a rug."
    answer = server.ask("/neighbors", {"inputs": query, "k": 4, "include": ["text", "metadata"]})
    assert answer["collection"] == "default"
    expected = {key: float(BY_TEXT[text].astype("f8") @ BY_TEXT[query].astype("f8")) for key, text in texts.items()}
    found = answer["results"][0]
    assert [item["id"] for item in found] == sorted(expected, key=expected.get, reverse=True)
    assert found[0]["id"] == "mat"
    for item in found:
        assert item["score"] == pytest.approx(expected[item["id"]], abs=1e-4)
        assert item["text"] == texts[item["id"]]
        assert item["metadata"] == {"key": item["id"]}
    many = server.ask("/neighbors", {"inputs": [query, texts["rates"]], "k": 1})["results"]
    assert [row[0]["id"] for row in many] == ["mat", "rates"]
    assert server.ask("/collections/default/points/delete", {"ids": list(texts)})["deleted"] == 4


VECTOR = [0.5] * DIM


@pytest.mark.parametrize(
    "body, param",
    [
        ({}, None),
        ({"vectors": [VECTOR], "ids": [IDS[0]]}, None),
        ({"vectors": []}, "vectors"),
        ({"vectors": VECTOR}, "vectors"),
        ({"vectors": [VECTOR, VECTOR[:-1]]}, "vectors"),
        ({"vectors": [VECTOR[:-1]]}, "vectors"),
        ({"vectors": [VECTOR, [0] * DIM]}, "vectors[1]"),
        ({"vectors": [VECTOR, [1e39] + VECTOR[1:]]}, "vectors[1]"),
        ({"ids": []}, "ids"),
        ({"ids": [5]}, "ids"),
        ({"inputs": "a text where the dimension is not the model's"}, "inputs"),
        ({"vectors": [VECTOR], "k": 0}, "k"),
        ({"vectors": [VECTOR], "k": -1}, "k"),
        ({"vectors": [VECTOR], "k": 10001}, "k"),
        ({"vectors": [VECTOR], "k": 1.5}, "k"),
        ({"vectors": [VECTOR], "k": "3"}, "k"),
        ({"vectors": [VECTOR], "k": 10**30}, "k"),
        ({"vectors": [VECTOR], "include": ["vectors"]}, "include"),
        ({"vectors": [VECTOR], "include": "metadata"}, "include"),
        ({"vectors": [VECTOR], "filter": 3}, "filter"),
        ({"vectors": [VECTOR], "ef": 0}, "ef"),
        ({"vectors": [VECTOR], "ef": 10001}, "ef"),
        ({"vectors": [VECTOR], "ef": 2.5}, "ef"),
        ({"vectors": [VECTOR], "ef": 64, "exact": True}, "ef"),
        ({"vectors": [VECTOR], "recall_target": 0.49}, "recall_target"),
        ({"vectors": [VECTOR], "recall_target": 1.01}, "recall_target"),
        ({"vectors": [VECTOR], "recall_target": "high"}, "recall_target"),
        ({"vectors": [VECTOR], "recall_target": 0.9, "exact": True}, "recall_target"),
        ({"vectors": [VECTOR], "exact": 1}, "exact"),
        ({"vectors": [VECTOR], "score_threshold": "high"}, "score_threshold"),
        ({"vectors": [VECTOR], "top_k": 3}, "top_k"),
        ({"vectors": [VECTOR], "collection": 5}, "collection"),
    ],
)
def test_invalid_searches(server, collection, body, param):
    problem(server.post("/neighbors", {"collection": collection, **body}), 422, param)


def test_unknown_collection_and_point(server, collection):
    found = problem(server.post("/neighbors", {"collection": "no-such", "vectors": [[1, 2]]}), 404, "collection")
    assert "no-such" in found["detail"]
    response = server.post("/neighbors", {"collection": collection, "ids": [IDS[0], "no-such-point"]})
    found = problem(response, 404, "ids[1]")
    assert "no-such-point" in found["detail"]
