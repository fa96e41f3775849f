"""Judges what clients of several replicas have seen.

A history is a list of events, each a dictionary with a `kind`:

* put, delete, delete_filter, merge: a write of points that was repeated with one Idempotency-Key until it had an answer. `status` is that
  of the last answer; None when there never was one. `version` is that of the answer, and `count` the points that it says it changed.
  `points`, `ids` or `n` is what was asked for; a merge gives each of `ids` the metadata {"m": m}; `n` selects points with metadata n.
* append: a loss whose `rows` keys were appended to the queue.
* get, count, search: a read through the balancer; a search is exact. `status` is None when there was no answer. `body_version` is the version
  that the body names, where it does.
* repeat: a write that was sent again later with its key to another replica. `first` is the version of its first answer.
* digest: the digest of a `version` on a `replica`. exact: the answer of a `replica` at a `version` to a fixed query.
* end: what the database holds when all is over: `version`, `epoch`, `points` by id, and `queue`, what its description says.

`needs` is the version of the token that a request had. `version` and `epoch` are None where an answer did not name them.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

WRITES = ("put", "delete", "delete_filter", "merge")
READS = ("get", "count", "search")
AVAILABLE = 0.999


@dataclass(frozen=True)
class Finding:
    """What is wrong, in one word for a program and in a sentence for people."""

    kind: str
    text: str


def check(history: list[dict]) -> list[Finding]:
    """Returns everything that is wrong with a history; an empty list when nothing is."""
    ends = [event for event in history if event["kind"] == "end"]
    if len(ends) != 1:
        return [Finding("incomplete", f"the history has {len(ends)} ends")]
    findings = answered(history)
    findings += tokens(history)
    findings += versions([event for event in history if event["kind"] in WRITES], ends[0]["version"], "the collection")
    findings += contents(history, ends[0])
    findings += repeats(history)
    findings += queue(history, ends[0])
    findings += replicas(history)
    findings += availability(history)
    return findings


def answered(history: list[dict]) -> list[Finding]:
    """Every write has an answer in the end, and it is a success, since all of them are valid."""
    findings = []
    for event in history:
        if event["kind"] not in (*WRITES, "append"):
            continue
        if event["status"] is None:
            findings.append(Finding("unresolved", f"write {event['op']} ({event['kind']}) never had an answer"))
        elif event["status"] != 200:
            findings.append(Finding("refused", f"write {event['op']} ({event['kind']}) was answered {event['status']}: {event.get('detail')}"))
        elif event["version"] is None:
            findings.append(Finding("no version", f"the answer to write {event['op']} ({event['kind']}) names no version"))
    return findings


def tokens(history: list[dict]) -> list[Finding]:
    """No answer is older than its token, and the collection is one and the same all the time."""
    findings = []
    for event in history:
        needs, version = event.get("needs"), event.get("version")
        if event["kind"] in READS and event["status"] == 200 and version is None:
            findings.append(Finding("no version", f"the answer to a {event['kind']} names no version"))
        if version is not None and event.get("body_version", version) != version:
            findings.append(Finding("two versions", f"a {event['kind']} names version {version} in its field and {event['body_version']} in its body"))
        if needs and version is not None and event.get("status") in (200, 404) and version < needs:
            findings.append(Finding("behind", f"a {event['kind']} with the token {needs} was answered from version {version}"))
    epochs = {event["epoch"] for event in history if event["kind"] in (*WRITES, *READS, "end") and event.get("epoch") is not None}
    if len(epochs) > 1:
        findings.append(Finding("epoch", f"the collection had the epochs {sorted(epochs)}"))
    return findings


def has_changed(event: dict) -> bool:
    """Whether a write was answered, and with the version that it made."""
    return event["status"] == 200 and event["version"] is not None and event.get("count", 1) > 0


def versions(writes: list[dict], newest: int, what: str) -> list[Finding]:
    """Each version from 1 to the newest belongs to exactly one answered write."""
    owners = defaultdict(list)
    for event in writes:
        if has_changed(event):
            owners[event["version"]].append(event["op"])
    findings = []
    for version in sorted(owners):
        if len(owners[version]) > 1:
            findings.append(Finding("shared version", f"version {version} of {what} was answered to the writes {owners[version]}"))
        if version > newest:
            findings.append(Finding("lost version", f"version {version} of {what} was answered to write {owners[version]}, and it ends at {newest}"))
    nobodys = [version for version in range(1, newest + 1) if version not in owners]
    if nobodys:
        findings.append(Finding("doubled", f"{len(nobodys)} versions of {what} belong to no write, such as {nobodys[:5]}: something was written twice"))
    return findings


def apply(state: dict[str, dict], event: dict) -> int:
    """Does a write to the points; returns how many it changes."""
    if event["kind"] == "put":
        for point in event["points"]:
            state[point["id"]] = {"vector": point["vector"], "metadata": point["metadata"]}
        return len(event["points"])
    if event["kind"] == "merge":
        found = [identity for identity in event["ids"] if identity in state]
        for identity in found:
            point = state[identity]
            state[identity] = {**point, "metadata": {**point["metadata"], "m": event["m"]}}
        return len(found)
    if event["kind"] == "delete":
        found = [identity for identity in event["ids"] if identity in state]
    else:
        found = [identity for identity, point in state.items() if point["metadata"]["n"] == event["n"]]
    for identity in found:
        del state[identity]
    return len(found)


def contents(history: list[dict], end: dict) -> list[Finding]:
    """Every read has the points of its version, every write has changed what it says, and the end has what was answered.

    The points of a version are those that the answered writes make, one after another in the order of their versions.
    """
    findings = []
    steps = []
    for event in history:
        if event["kind"] in WRITES and event["status"] == 200 and event["version"] is not None:
            # A write that changed nothing has met the version that it names.
            steps.append((event["version"], 0 if has_changed(event) else 1, event))
        elif event["kind"] in READS and event["status"] in (200, 404) and event["version"] is not None:
            steps.append((event["version"], 2, event))
    state: dict[str, dict] = {}
    for version, order, event in sorted(steps, key=lambda step: step[:2]):
        if order == 2:
            findings += read_problem(event, state)
            continue
        changed = apply(state, event)
        if changed != event["count"]:
            findings.append(Finding("wrong count", f"write {event['op']} ({event['kind']}, version {version}) says that it changed {event['count']} points, and it is {changed}"))
    stored = end["points"]
    for identity in sorted(set(state) - set(stored)):
        findings.append(Finding("lost", f"point {identity} of an answered write is gone"))
    for identity in sorted(set(stored) - set(state)):
        findings.append(Finding("not deleted", f"point {identity} is there, and it was deleted or never written"))
    for identity in sorted(set(stored) & set(state)):
        if stored[identity] != state[identity]:
            findings.append(Finding("different", f"point {identity} is {stored[identity]}, and the last answered write made it {state[identity]}"))
    return findings


def read_problem(event: dict, state: dict[str, dict]) -> list[Finding]:
    """What is wrong with an answer, given the points of its version."""
    where = f"a {event['kind']} at version {event['version']}"
    if event["kind"] == "count":
        if event["answer"] == len(state):
            return []
        return [Finding("wrong read", f"{where} says {event['answer']} points, and there are {len(state)}")]
    if event["kind"] == "get":
        wanted = state.get(event["id"])
        found = event["answer"] if event["status"] == 200 else None
        if found == wanted:
            return []
        return [Finding("wrong read", f"{where} has {found} as point {event['id']}, and it is {wanted}")]
    scores = sorted((cosine(event["query"], point["vector"]) for point in state.values()), reverse=True)[: event["k"]]
    hits = event["answer"]
    same = len(hits) == len(scores) and all(
        hit["id"] in state and abs(hit["score"] - score) < 1e-5 and hit["metadata"] == state[hit["id"]]["metadata"]
        and abs(hit["score"] - cosine(event["query"], state[hit["id"]]["vector"])) < 1e-5
        for hit, score in zip(hits, scores))
    return [] if same else [Finding("wrong read", f"{where} found {[hit['id'] for hit in hits]}, which are not the nearest points of that version")]


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other)) / math.hypot(*one) / math.hypot(*other)


def repeats(history: list[dict]) -> list[Finding]:
    """A write that is sent again with its key has the first answer."""
    return [
        Finding("other answer", f"write {event['op']}, first answered with version {event['first']}, was answered {event['status']} with version {event['version']} when it was repeated")
        for event in history
        if event["kind"] == "repeat" and (event["status"] != 200 or event["version"] != event["first"])
    ]


def queue(history: list[dict], end: dict) -> list[Finding]:
    """The queue has the rows of every answered append once."""
    appends = [event for event in history if event["kind"] == "append"]
    if not appends:
        return []
    found = end.get("queue") or {}
    wanted = sum(event["rows"] for event in appends if event["status"] == 200)
    # What has no answer may be there or not.
    possible = wanted + sum(event["rows"] for event in appends if event["status"] is None)
    findings = []
    appended = found.get("appended", 0)
    if appended < wanted:
        findings.append(Finding("queue lost", f"{appended} rows were appended to the queue, and {wanted} were answered"))
    if appended > possible:
        findings.append(Finding("queue doubled", f"{appended} rows were appended to the queue, and {wanted} were answered"))
    if found.get("version") is None:
        return [*findings, Finding("no version", "the queue names no version")]
    return findings + versions(appends, found["version"], "the queue")


def replicas(history: list[dict]) -> list[Finding]:
    """At one version all replicas have one digest, and give one answer to a query."""
    findings = []
    seen: dict[tuple, dict] = {}
    for event in history:
        if event["kind"] not in ("digest", "exact"):
            continue
        first = seen.setdefault((event["kind"], event.get("query"), event["version"]), event)
        if first["answer"] != event["answer"]:
            kind = "digest" if event["kind"] == "digest" else "answers differ"
            findings.append(Finding(kind, f"at version {event['version']} replica {first['replica']} has {first['answer'][:300]} and replica {event['replica']} {event['answer'][:300]}"))
    return findings


def availability(history: list[dict]) -> list[Finding]:
    """Nearly every read is answered, whatever happens."""
    reads = [event for event in history if event["kind"] in READS]
    failed = Counter(str(event["status"]) for event in reads if event["status"] not in (200, 404))
    if sum(failed.values()) <= (1 - AVAILABLE) * len(reads):
        return []
    return [Finding("unavailable", f"{sum(failed.values())} of {len(reads)} reads failed: {dict(failed)}")]


def summary(history: list[dict], findings: list[Finding]) -> dict:
    """The counts of a run, for people and for comparison with other runs."""
    reads = [event for event in history if event["kind"] in READS]
    good = sum(event["status"] in (200, 404) for event in reads)
    writes = [event for event in history if event["kind"] in (*WRITES, "append")]
    ends = [event for event in history if event["kind"] == "end"]
    return {
        "writes": len(writes),
        "writes_answered": sum(event["status"] == 200 for event in writes),
        "writes_repeated": sum(event.get("attempts", 1) > 1 for event in writes),
        "slowest_write_seconds": round(max((event.get("seconds", 0) for event in writes), default=0), 2),
        "reads": len(reads),
        "reads_failed": len(reads) - good,
        "availability": round(good / max(1, len(reads)), 5),
        "slowest_read_seconds": round(max((event.get("seconds", 0) for event in reads), default=0), 2),
        "digests_compared": sum(event["kind"] == "digest" for event in history),
        "answers_compared": sum(event["kind"] == "exact" for event in history),
        "version": ends[0]["version"] if ends else None,
        "violations": len(findings),
        "kinds": dict(Counter(finding.kind for finding in findings)),
    }
