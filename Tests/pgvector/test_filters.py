"""Filters in SQL match exactly what they match in memory."""

import random

TEXTS = ["", "a", "b", "ab", "é", "e\u0301", "\u0000", "a\u0000", "𝄞", "\uffff", "x" * 3000, "'; DROP TABLE x; --", "1", "\\", '"']
NUMBERS = [
    0, -0.0, 1, 1.0, 1.5, -1, 2**53, 2**53 + 1, float(2**53), 2**60, 2**60 + 1, float(2**60), 2**63 - 1, -(2**63), 2**63, 2**64 - 1,
    float(2**64), 10**25, -(10**25), 1e308, -1e308, 5e-324, 0.1, 0.30000000000000004, 1e22, 123456789012345678,
]
FIELDS = ["a", "b", "a.b", "b.a", "a.b.c", "", ".", "é", "e\u0301", "\u0000", "x" * 512, "n'\"\\$1", "a.", "missing"]
NAMES = ["a", "b", "c", "", "a.b", "é", "e\u0301", "\u0000", "x" * 512, "x" * 513, "n'\"\\$1", "."]


def scalar(draw: random.Random):
    return draw.choice([None, True, False, draw.choice(NUMBERS), draw.choice(NUMBERS), draw.choice(TEXTS)])


def value(draw: random.Random, depth: int = 0):
    kind = draw.random()
    if depth > 3 or kind < 0.6:
        return scalar(draw)
    if kind < 0.8:
        return [value(draw, depth + 1) for _ in range(draw.randint(0, 3))]
    return {draw.choice(NAMES): value(draw, depth + 1) for _ in range(draw.randint(0, 3))}


def metadata(draw: random.Random):
    return {draw.choice(NAMES): value(draw) for _ in range(draw.randint(0, 5))}


def condition(draw: random.Random, depth: int = 0) -> dict:
    kind = draw.random()
    if depth < 3 and kind < 0.25:
        return {draw.choice(["$and", "$or"]): [condition(draw, depth + 1) for _ in range(draw.randint(1, 3))]}
    if depth < 3 and kind < 0.35:
        return {"$not": condition(draw, depth + 1)}
    return {draw.choice(FIELDS): operators(draw) for _ in range(draw.randint(1, 2))}


def operators(draw: random.Random):
    if draw.random() < 0.25:
        return scalar(draw)
    found = {}
    for _ in range(draw.randint(1, 2)):
        name = draw.choice(["$eq", "$ne", "$in", "$nin", "$exists", "$gt", "$gte", "$lt", "$lte", "$not"])
        if name in ("$in", "$nin"):
            found[name] = [scalar(draw) for _ in range(draw.randint(0, 4))]
        elif name == "$exists":
            found[name] = draw.random() < 0.5
        elif name == "$not":
            found[name] = {"$eq": scalar(draw)}
        elif name in ("$eq", "$ne"):
            found[name] = scalar(draw)
        else:
            found[name] = draw.choice([draw.choice(NUMBERS), draw.choice(TEXTS)])
    return found


def test_500_random_filters(pair):
    draw = random.Random(7)
    kept = pair(2)
    made = [{"id": f"{i:04}", "vector": [1, i], "metadata": metadata(draw)} for i in range(590)]
    made += [{"id": f"{i:04}", "vector": [1, i]} for i in range(590, 600)]
    kept.same("PUT", "/collections/NAME/points", {"points": made}, 200)
    matched = set()
    for _ in range(500):
        filter = condition(draw)
        found = kept.same("POST", "/collections/NAME/points/count", {"filter": filter}, 200)["count"]
        kept.same("POST", "/collections/NAME/points/list", {"filter": filter, "limit": 1000, "include": []}, 200)
        matched.add(found)
    # They are no trivial ones.
    assert len(matched) > 50 and 0 in matched


def test_filters_in_searches_and_deletions(pair):
    draw = random.Random(8)
    kept = pair(3)
    made = [
        {"id": f"{i:04}", "vector": [draw.gauss(0, 1) for _ in range(3)], "metadata": metadata(draw)} for i in range(400)
    ]
    kept.same("PUT", "/collections/NAME/points", {"points": made}, 200)
    for _ in range(60):
        query = [[draw.gauss(0, 1) for _ in range(3)] for _ in range(2)]
        filter = condition(draw)
        kept.same("POST", "/neighbors", {"collection": "NAME", "vectors": query, "filter": filter, "exact": True}, 200)
    for _ in range(20):
        kept.same("POST", "/collections/NAME/points/delete", {"filter": {"$and": [condition(draw), condition(draw)]}}, 200)
    kept.same("GET", "/collections/NAME/points?limit=1000", status=200)


def test_the_index_answers_equalities(pair, database):
    """An equality is looked up, not compared with every row."""
    kept = pair(2)
    made = [{"id": str(i), "vector": [1, i], "metadata": {"n": i}} for i in range(20_000)]
    kept.same("PUT", "/collections/NAME/points", {"points": made}, 200)
    number = database.run("SELECT id FROM nearfar.collections WHERE name = %s", kept.database)[0][0]
    database.run(f"ANALYZE nearfar.vectors_{number}")
    before = database.run("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = %s", f"vectors_{number}")[0][0]
    for i in range(5):
        kept.same("POST", "/collections/NAME/points/count", {"filter": {"n": i}}, 200)
    database.run("SELECT pg_stat_force_next_flush()")
    after = database.run("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = %s", f"vectors_{number}")[0][0]
    assert after <= before + 1
