"""The checker of histories finds every kind of violation that is planted, and nothing in a history without one."""

import copy

import pytest
from history import check, summary


def put(op, version, *points):
    points = [{"id": identity, "vector": [1.0, float(n)], "metadata": {"n": n, "op": op}} for identity, n in points]
    return {"kind": "put", "op": op, "points": points, "status": 200, "version": version, "count": len(points), "needs": 0, "epoch": 7}


def sound() -> list[dict]:
    """A small history without a fault. Its places are named by `event`."""
    return [
        put(1, 1, ("a", 1), ("b", 2)),
        put(2, 2, ("c", 3)),
        {"kind": "delete", "op": 3, "ids": ["a"], "status": 200, "version": 3, "count": 1, "needs": 2, "epoch": 7},
        {"kind": "delete", "op": 4, "ids": ["a"], "status": 200, "version": 3, "count": 0, "needs": 0, "epoch": 7},
        {"kind": "merge", "op": 5, "ids": ["b", "x"], "m": 5, "status": 200, "version": 4, "count": 1, "needs": 0, "epoch": 7},
        put(6, 5, ("d", 3)),
        {"kind": "delete_filter", "op": 7, "n": 3, "status": 200, "version": 6, "count": 2, "needs": 0, "epoch": 7},
        put(8, 7, ("e", 9)),
        {"kind": "append", "op": 9, "rows": 4, "status": 200, "version": 1, "needs": 0, "epoch": 8},
        {"kind": "append", "op": 10, "rows": 3, "status": 200, "version": 2, "needs": 0, "epoch": 8},
        {"kind": "get", "id": "b", "status": 200, "version": 4, "needs": 4, "epoch": 7,
         "answer": {"vector": [1.0, 2.0], "metadata": {"n": 2, "op": 1, "m": 5}}},
        {"kind": "get", "id": "a", "status": 404, "version": 3, "needs": 3, "epoch": 7, "answer": None},
        {"kind": "count", "status": 200, "version": 2, "needs": 0, "epoch": 7, "answer": 3},
        {"kind": "search", "query": [0.0, 1.0], "k": 1, "status": 200, "version": 7, "needs": 7, "epoch": 7,
         "answer": [{"id": "e", "score": 0.993884, "metadata": {"n": 9, "op": 8}}]},
        {"kind": "repeat", "op": 8, "first": 7, "status": 200, "version": 7},
        *[{"kind": "digest", "replica": n, "version": 7, "answer": "00ff"} for n in range(3)],
        {"kind": "digest", "replica": 1, "version": 6, "answer": "0fff"},
        *[{"kind": "exact", "replica": n, "query": 0, "version": 7, "answer": "[]"} for n in range(3)],
        {"kind": "end", "version": 7, "epoch": 7, "queue": {"appended": 7, "version": 2},
         "points": {"b": {"vector": [1.0, 2.0], "metadata": {"n": 2, "op": 1, "m": 5}}, "e": {"vector": [1.0, 9.0], "metadata": {"n": 9, "op": 8}}}},
    ]


def event(history, kind, **fields):
    """The first event of this kind that has these values."""
    return next(each for each in history if each["kind"] == kind and all(each.get(name) == value for name, value in fields.items()))


def kinds(history):
    return {finding.kind for finding in check(history)}


def test_a_sound_history_has_no_findings():
    assert check(sound()) == []
    told = summary(sound(), [])
    assert (told["writes"], told["writes_answered"], told["reads"], told["availability"], told["version"]) == (10, 10, 4, 1, 7)


def lost_point(history):
    del event(history, "end")["points"]["e"]


def lost_commit(history):
    # The database is back at an older version: the last answered write is gone.
    end = event(history, "end")
    end["version"] = 6
    del end["points"]["e"]


def overwritten(history):
    event(history, "end")["points"]["e"] = {"vector": [1.0, 8.0], "metadata": {"n": 8, "op": 8}}


def deletion_undone(history):
    event(history, "end")["points"]["a"] = {"vector": [1.0, 1.0], "metadata": {"n": 1, "op": 1}}


def filter_missed_a_point(history):
    event(history, "delete_filter")["count"] = 1
    event(history, "end")["points"]["d"] = {"vector": [1.0, 3.0], "metadata": {"n": 3, "op": 6}}


def merge_lost(history):
    del event(history, "end")["points"]["b"]["metadata"]["m"]


def written_twice(history):
    event(history, "end")["version"] = 8


def two_writes_of_one_version(history):
    event(history, "put", op=6)["version"] = 4


def older_than_its_token(history):
    event(history, "count")["needs"] = 3


def a_write_behind_its_token(history):
    event(history, "delete", op=4)["needs"] = 5


def a_wrong_point(history):
    event(history, "get", id="b")["answer"]["metadata"]["op"] = 2


def a_deleted_point_is_read(history):
    event(history, "get", id="a").update(status=200, answer={"vector": [1.0, 1.0], "metadata": {"n": 1, "op": 1}})


def a_wrong_number(history):
    event(history, "count")["answer"] = 4


def not_the_nearest(history):
    event(history, "search")["answer"] = [{"id": "b", "score": 0.894427, "metadata": {"n": 2, "op": 1, "m": 5}}]


def a_deleted_point_is_found(history):
    event(history, "search")["answer"] = [{"id": "c", "score": 0.993884, "metadata": {"n": 3, "op": 2}}]


def a_write_without_answer(history):
    event(history, "put", op=8).update(status=None, version=None)


def a_write_is_refused(history):
    history.append({"kind": "put", "op": 11, "points": [], "status": 500, "version": None, "count": 0, "needs": 0})


def an_answer_without_version(history):
    event(history, "get", id="b")["version"] = None


def another_version_in_the_body(history):
    event(history, "count")["body_version"] = 3


def another_collection(history):
    event(history, "search")["epoch"] = 9


def a_repetition_has_another_answer(history):
    event(history, "repeat")["version"] = 8


def a_repetition_fails(history):
    event(history, "repeat").update(status=422, version=None)


def appended_twice(history):
    event(history, "end")["queue"].update(appended=11, version=3)


def append_lost(history):
    event(history, "end")["queue"].update(appended=4, version=1)


def two_appends_of_one_version(history):
    event(history, "append", op=10)["version"] = 1


def other_digest(history):
    event(history, "digest", replica=2)["answer"] = "00fe"


def other_bytes(history):
    event(history, "exact", replica=1)["answer"] = "[0]"


def reads_fail(history):
    history += [{"kind": "count", "status": 503, "version": None, "needs": 0, "answer": None}]


def no_end(history):
    history.pop()


@pytest.mark.parametrize("plant, found", [
    (lost_point, {"lost"}),
    (lost_commit, {"lost", "lost version"}),
    (overwritten, {"different"}),
    (deletion_undone, {"not deleted"}),
    (filter_missed_a_point, {"not deleted", "wrong count"}),
    (merge_lost, {"different"}),
    (written_twice, {"doubled"}),
    (two_writes_of_one_version, {"shared version", "doubled"}),
    (older_than_its_token, {"behind"}),
    (a_write_behind_its_token, {"behind"}),
    (a_wrong_point, {"wrong read"}),
    (a_deleted_point_is_read, {"wrong read"}),
    (a_wrong_number, {"wrong read"}),
    (not_the_nearest, {"wrong read"}),
    (a_deleted_point_is_found, {"wrong read"}),
    (a_write_without_answer, {"unresolved", "doubled", "not deleted", "wrong read"}),
    (a_write_is_refused, {"refused"}),
    (an_answer_without_version, {"no version"}),
    (another_version_in_the_body, {"two versions"}),
    (another_collection, {"epoch"}),
    (a_repetition_has_another_answer, {"other answer"}),
    (a_repetition_fails, {"other answer"}),
    (appended_twice, {"queue doubled", "doubled"}),
    (append_lost, {"queue lost", "lost version"}),
    (two_appends_of_one_version, {"shared version", "doubled"}),
    (other_digest, {"digest"}),
    (other_bytes, {"answers differ"}),
    (reads_fail, {"unavailable"}),
    (no_end, {"incomplete"}),
], ids=lambda value: value.__name__ if callable(value) else "")
def test_a_planted_violation_is_found(plant, found):
    history = copy.deepcopy(sound())
    plant(history)
    assert kinds(history) == found


def test_few_failed_reads_are_borne():
    history = sound()
    read = event(history, "count")
    history[:0] = [dict(read) for _ in range(1000)]
    history.append({**read, "status": 503, "version": None, "answer": None})
    assert check(history) == []
    history += [{**read, "status": None, "version": None, "answer": None}]
    assert kinds(history) == {"unavailable"}
