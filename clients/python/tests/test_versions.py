"""Version tokens: what a client has seen goes with its next calls, tested with scripted answers."""

import random
import threading

import httpx
import numpy as np
import pytest
from nearfar import ConflictError, GoneError, UnavailableError
from nearfar.safetensors import encode
from nearfar.versions import MOST, SEEN, WANTED, Versions

pytestmark = pytest.mark.usefixtures("waits")

LOSS = encode({"loss": np.array(0.5, "f4")}, {"objective": "moco", "rows": "1", "candidates": "1", "dim": "2"})
GONE = httpx.Response(
    410, json={"title": "Gone", "status": 410, "detail": "'c' was deleted and made anew", "param": "X-Nearfar-Min-Version"})
BEHIND = httpx.Response(503, headers={"Retry-After": "1"}, json={"title": "Service Unavailable", "detail": "behind"})


def said(token, **body):
    """An answer to any call, with a token."""
    whole = {"version": 1, "upserted": 1, "deleted": 1, "updated": 1, "missing": [], "count": 1, "points": [], "collection": "c",
             "mode": "exact", "results": [], "id": "a", "name": "c", "dim": 2, "metric": "dot", "capacity": 2, "appended": 0}
    return httpx.Response(200, headers={SEEN: token} if token else {}, json={**whole, **body})


def wanted(script):
    return [request.headers.get(WANTED) for request in script.requests]


ABOUT_C = {
    "upsert": lambda client: client.upsert(["a"], [[1.0]], collection="c"),
    "update_metadata": lambda client: client.update_metadata(["a"], [{}], collection="c"),
    "delete_points": lambda client: client.delete_points(["a"], collection="c"),
    "delete by filter": lambda client: client.delete_points(filter={"a": 1}, collection="c"),
    "delete_collection": lambda client: client.delete_collection("c"),
    "create_collection": lambda client: client.create_collection("c", 2),
    "collection": lambda client: client.collection("c"),
    "point": lambda client: client.point("a", "c"),
    "count_points": lambda client: client.count_points("c"),
    "list_points": lambda client: client.list_points("c"),
    "list_points by filter": lambda client: client.list_points("c", filter={"a": 1}),
    "points": lambda client: list(client.points("c")),
    "neighbors": lambda client: client.neighbors(vectors=[1.0], collection="c"),
}
# Calls that change points of a collection, or delete it, must not do so to another than the one that was seen.
CHANGES = ["upsert", "update_metadata", "delete_points", "delete by filter", "delete_collection"]


@pytest.mark.parametrize("call", ABOUT_C.values(), ids=ABOUT_C.keys())
def test_every_call_about_a_collection_carries_its_newest_token(scripted, call):
    client, script = scripted(said("c:7:3"), said("d:8:9"), said("c:7:4"), said("c:7:5", next_after=None))
    client.count_points("c")
    client.count_points("d")
    call(client)
    client.count_points("c")
    assert wanted(script) == [None, None, "c:7:3", "c:7:4"]


ABOUT_QUEUES = {
    "loss": lambda client: client.loss([[1.0]], [[1.0]], queue="c"),
    "loss that reads": lambda client: client.loss([[1.0]], [[1.0]], queue={"name": "c", "update": False}),
    "queue": lambda client: client.queue("c"),
    "create_queue": lambda client: client.create_queue("c", 2, 2),
    "delete_queue": lambda client: client.delete_queue("c"),
}


@pytest.mark.parametrize("name", ABOUT_QUEUES)
def test_a_queue_is_not_a_collection_of_its_name(scripted, name):
    loss = httpx.Response(200, content=LOSS, headers={SEEN: "queues/c:2:9"})
    client, script = scripted(said("c:7:3"), loss, loss if "loss" in name else said("queues/c:2:10"), said("c:7:4"))
    client.count_points("c")
    client.loss([[1.0]], [[1.0]], queue="c")
    ABOUT_QUEUES[name](client)
    client.count_points("c")
    assert wanted(script) == [None, None, "queues/c:2:9", "c:7:3"]


def test_older_answers_and_other_texts_change_nothing(scripted):
    tokens = ["c:7:3", "c:7:2", "c:6:9", "nonsense", "c:7", "c:7:-1", "c:7:1e3", "c:7:99999999999999999999", None, "c:8:0, d:1:2"]
    client, script = scripted(*map(said, tokens), said(None), said(None))
    for _ in tokens:
        client.count_points("c")
    client.count_points("c")
    client.count_points("d")
    assert wanted(script) == [None, *["c:7:3"] * 9, "c:8:0", "d:1:2"]


def test_tracking_can_be_switched_off(scripted):
    client, script = scripted(said("c:7:3"), said("c:7:3"), GONE, track_versions=False)
    client.count_points("c")
    client.count_points("c")
    with pytest.raises(GoneError):
        client.count_points("c")
    client.forget_versions()
    assert wanted(script) == [None] * 3


def test_versions_can_be_forgotten(scripted):
    client, script = scripted(said("c:7:3"), said("c:6:1"), said(None))
    client.count_points("c")
    client.forget_versions()
    client.count_points("c")
    client.count_points("c")
    assert wanted(script) == [None, None, "c:6:1"]


@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize("call", [ABOUT_C[name] for name in ABOUT_C if name not in CHANGES])
def test_a_read_takes_the_collection_that_was_made_anew(scripted, call, retries, waits):
    client, script = scripted(said("c:7:3"), GONE, said("c:9:1", next_after=None), said(None), retries=retries)
    client.count_points("c")
    call(client)
    client.count_points("c")
    assert wanted(script) == [None, "c:7:3", None, "c:9:1"] and waits == []


@pytest.mark.parametrize("call", [ABOUT_C[name] for name in CHANGES], ids=CHANGES)
def test_a_write_says_once_that_the_collection_was_made_anew(scripted, call):
    client, script = scripted(said("c:7:3"), GONE, said("c:9:1"))
    client.count_points("c")
    with pytest.raises(GoneError, match="made anew") as caught:
        call(client)
    assert caught.value.status == 410
    call(client)
    assert wanted(script) == [None, "c:7:3", None]


def test_another_410_is_not_about_tokens(scripted):
    client, script = scripted(said("c:7:3"), httpx.Response(410, json={"title": "Gone", "detail": "a proxy"}), said(None))
    client.count_points("c")
    with pytest.raises(GoneError, match="a proxy"):
        client.count_points("c")
    client.count_points("c")
    assert wanted(script) == [None, "c:7:3", "c:7:3"]


def test_a_replica_that_is_behind_is_asked_again(scripted, waits):
    client, script = scripted(said("c:7:3"), BEHIND, BEHIND, said(None), *[BEHIND] * 3)
    client.count_points("c")
    client.count_points("c")
    assert wanted(script) == [None, *["c:7:3"] * 3] and waits == [1, 1]
    with pytest.raises(UnavailableError, match="behind"):
        client.count_points("c")


def test_errors_of_a_call_keep_the_tokens(scripted):
    client, script = scripted(said("c:7:3"), httpx.Response(409, json={"title": "Conflict", "param": "x"}), said(None))
    client.count_points("c")
    with pytest.raises(ConflictError):
        client.upsert(["a"], [[1.0]], collection="c")
    client.count_points("c")
    assert wanted(script) == [None, "c:7:3", "c:7:3"]


@pytest.mark.parametrize("consistency", ["strong", "eventual", None])
def test_consistency(scripted, consistency):
    client, script = scripted(*[said(None)] * 7)
    options = {"consistency": consistency}
    client.neighbors("a", **options)
    client.neighbors(vectors=[1.0], **options)
    client.count_points(**options)
    client.list_points(include=[], **options)
    client.list_points(**options)
    client.collection(**options)
    client.point("a", **options)
    texts, vectors, *others = script.requests
    assert (b'"consistency":"%s"' % str(consistency).encode() in texts.content) is (consistency is not None)
    assert (rb'"consistency":"\"%s\""' % str(consistency).encode() in vectors.content) is (consistency is not None)
    for request in others[:2]:
        assert (b'"consistency":"%s"' % str(consistency).encode() in request.content) is (consistency is not None)
    for request in others[2:]:
        assert request.url.params.get("consistency") == consistency


KEYED = {
    "upsert": lambda client, **key: client.upsert(["a"], [[1.0]], **key),
    "update_metadata": lambda client, **key: client.update_metadata(["a"], [{"b": 1}], **key),
    "delete_points": lambda client, **key: client.delete_points(["a"], **key),
    "delete by filter": lambda client, **key: client.delete_points(filter={"a": 1}, **key),
    "loss": lambda client, **key: client.loss([[1.0]], [[1.0]], queue="q", **key),
}


@pytest.mark.parametrize("name", KEYED)
@pytest.mark.parametrize("failure", [BEHIND, httpx.ReadError("broke"), httpx.RemoteProtocolError("closed")], ids=range(3))
def test_a_write_that_is_repeated_has_a_key_of_its_own(scripted, name, failure):
    answer = httpx.Response(200, content=LOSS) if name == "loss" else said(None)
    client, script = scripted(failure, answer, answer, answer)
    KEYED[name](client)
    KEYED[name](client)
    KEYED[name](client, idempotency_key="own")
    first, again, second, own = [request.headers["Idempotency-Key"] for request in script.requests]
    assert first == again != second and own == "own"
    assert all(len(key) == 32 for key in (first, second))
    assert script.requests[0].content == script.requests[1].content


@pytest.mark.parametrize("name", KEYED)
def test_a_write_that_is_never_repeated_has_no_key(scripted, name):
    client, script = scripted(httpx.Response(200, content=LOSS) if name == "loss" else said(None), retries=0)
    KEYED[name](client)
    assert "Idempotency-Key" not in script.requests[0].headers


def test_reads_have_no_key(scripted):
    client, script = scripted(said(None), httpx.Response(200, content=LOSS), httpx.Response(200, content=LOSS))
    client.count_points()
    client.loss([[1.0]], [[1.0]])
    client.loss([[1.0]], [[1.0]], queue={"name": "q", "update": False})
    assert all("Idempotency-Key" not in request.headers for request in script.requests)


def test_threads_share_what_was_seen():
    """Whatever the order of the answers, the newest version of each name stays."""
    versions = Versions()
    numbers = list(range(1, 2001))

    def note(seed):
        mixed = random.Random(seed).sample(numbers, len(numbers))
        for number in mixed:
            versions.note(f"c{number % 5}:1:{number}")
            epoch, version = map(int, versions.wanted([f"c{number % 5}"]).split(":")[1:])
            assert epoch == 1 and version >= number

    failures = []

    def run(seed):
        try:
            note(seed)
        except AssertionError as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert versions.wanted([f"c{each}" for each in range(5)]) == "c0:1:2000, c1:1:1996, c2:1:1997, c3:1:1998, c4:1:1999"


def test_a_newer_token_is_not_forgotten_with_an_older_one():
    versions = Versions()
    versions.note("c:2:1")
    versions.forget("c:1:9")
    assert versions.wanted(["c"]) == "c:2:1"
    versions.forget("c:2:1")
    assert versions.wanted(["c"]) == ""


def test_names_beyond_the_bound_are_forgotten_oldest_first():
    versions = Versions()
    for number in range(MOST + 5):
        versions.note(f"c{number}:1:1")
        versions.note("kept:1:1")
    # The bound includes `kept`, which was always the newest.
    assert versions.wanted(["c5"]) == "" and versions.wanted(["c6", "kept"]) == "c6:1:1, kept:1:1"
