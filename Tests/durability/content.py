"""Compares the state of a server with the expected one: every point, the version, and the results of searches."""

import heapq
import math
import random
from operator import mul

from server import Client
from writers import DIM, PATH, Writer, apply, as_f32

GRAPH_THRESHOLD = 10_000
K = 10
# One query in ten finds 0.8 of its neighbours or less, so enough queries are needed for a stable recall.
QUERIES = 50
# The number of these queries that are compared with every point.
BRUTE_FORCE = 6


def stored(client: Client) -> tuple[dict[str, dict], dict]:
    """Returns every point by id, and the collection's description."""
    points: dict[str, dict] = {}
    after = None
    while True:
        path = f"{PATH}/points?limit=2000" + (f"&after={after}" if after else "")
        status, page = client.ask("GET", path)
        assert status == 200, page
        for point in page["points"]:
            # JSON has the shortest decimal of the f32 value, which as a double is another number.
            point["vector"] = as_f32(point["vector"])
            points[point["id"]] = {key: value for key, value in point.items() if value is not None}
        after = page["next_after"]
        if after is None:
            break
    status, described = client.ask("GET", PATH)
    assert status == 200, described
    return points, described


def state_problems(
    writers: list[Writer], before: int, points: dict[str, dict], version: int, floor: int | None = None
) -> list[str]:
    """Describes how `points` differs from what was stored at `version`.

    `before` is the version of the last check. `floor` is the lowest version that may be found; when it is None, everything
    that was answered must be stored.
    """
    problems = []
    answered = [number for writer in writers for number in writer.versions]
    if len(set(answered)) != len(answered):
        problems.append("a version was answered twice")
    lowest = max(answered, default=before) if floor is None else floor
    if version < lowest:
        problems.append(f"the store is at version {version}, and {lowest} was answered")
    parts: dict[str, dict[str, dict]] = {writer.prefix: {} for writer in writers}
    for identity, point in points.items():
        parts[identity[: identity.index(".") + 1]][identity] = point
    taken = undecided = 0
    for writer in writers:
        found = parts[writer.prefix]
        expected = dict(writer.start)
        for number, batch, _ in writer.log:
            if number <= version:
                apply(expected, batch)
        whole = all(number <= version for number in writer.versions)
        undecided += writer.open is not None and whole
        if found == expected:
            continue
        if writer.open is not None and whole and found == apply(dict(expected), writer.open):
            taken += 1
            continue
        lost = sorted(set(expected) - set(found))[:5]
        strange = sorted(set(found) - set(expected))[:5]
        other = sorted(key for key in set(found) & set(expected) if found[key] != expected[key])[:5]
        problems.append(f"writer {writer.number}: lost {lost}, not known {strange}, different {other}")
    # Every version since the last check was answered to some writer, except for batches whose answer never arrived.
    nobodys = version - before - sum(number <= version for number in answered)
    if not taken <= nobodys <= undecided:
        problems.append(f"{nobodys} versions belong to no writer; {undecided} batches had no answer, {taken} of them are stored")
    return problems


def search_problems(client: Client, points: dict[str, dict], seed: int) -> list[str]:
    """Checks that searches find only what is stored: exact searches all of it, graph searches nearly all."""
    generator = random.Random(seed)
    queries = [as_f32([generator.uniform(-1, 1) for _ in range(DIM)]) for _ in range(QUERIES)]
    rows = [(point["vector"], length_of(point["vector"])) for point in points.values()]
    problems = []
    lists = {}
    for exact in (True, False):
        body = {"collection": PATH.rsplit("/", 1)[1], "vectors": queries, "k": K, "exact": exact}
        status, found = client.ask("POST", "/neighbors", body)
        if status != 200:
            return [f"a search answers {status}: {found}"]
        if not exact and len(points) >= GRAPH_THRESHOLD and found["mode"] != "graph":
            problems.append(f"a search of {len(points)} points is {found['mode']}")
        lists[exact] = found["results"]
        for query, result in zip(queries, found["results"], strict=True):
            length = length_of(query)
            if any(abs(hit["score"] - score_of(query, points.get(hit["id"]), length)) > 1e-6 for hit in result):
                problems.append(f"a wrong score or point (exact {exact})")
    # Exact answers are compared with brute force, and answers of the graph with exact ones.
    for query, result in list(zip(queries, lists[True]))[:BRUTE_FORCE]:
        length = length_of(query)
        best = heapq.nlargest(K, (sum(map(mul, query, row)) / norm / length for row, norm in rows))
        if len(result) != len(best) or any(abs(hit["score"] - score) > 1e-6 for hit, score in zip(result, best)):
            problems.append("an exact search does not find what is stored")
    found, wanted = ([{hit["id"] for hit in result} for result in lists[exact]] for exact in (False, True))
    recall = sum(len(one & other) for one, other in zip(found, wanted)) / max(1, sum(map(len, wanted)))
    if recall < 0.9:
        problems.append(f"recall {recall:.3f}")
    return problems


def length_of(row: list[float]) -> float:
    return math.sqrt(sum(map(mul, row, row)))


def score_of(query: list[float], point: dict | None, length: float) -> float:
    """The cosine of query and point, or infinity for a point that is not stored."""
    if point is None:
        return math.inf
    row = point["vector"]
    return sum(map(mul, query, row)) / length_of(row) / length


def look(
    client: Client, writers: list[Writer], before: int, seed: int, floor: int | None = None
) -> tuple[list[str], int]:
    """Returns what is wrong with the store, and its version. The writers continue from the state that was found."""
    points, described = stored(client)
    problems = [problem for writer in writers for problem in writer.problems]
    problems += state_problems(writers, before, points, described["version"], floor)
    if described["count"] != len(points):
        problems.append(f"count {described['count']}, listed {len(points)}")
    problems += search_problems(client, points, seed)
    for writer in writers:
        writer.settle({key: point for key, point in points.items() if key.startswith(writer.prefix)})
    return problems, described["version"]
