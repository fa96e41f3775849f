"""Nothing that a client sends becomes part of a statement: the server's log of all statements has none of it."""

import re
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from database import DatabaseServer
from process import ROOT, Server

TOKEN = "X-Nearfar-Version"
SEEN = "X-Nearfar-Min-Version"
# In everything that the test sends, so that it is found wherever it turns up.
MARK = "NFMARK"
STRINGS = [
    f"{MARK}'; DROP TABLE nearfar.points; --",
    f"{MARK}\"; SELECT pg_sleep(9); /* */",
    f"{MARK}\\'; \\x27 E'\\000' U&'\\0027'",
    f"{MARK} $1 $2 $$ $tag$ :name ?",
    f"{MARK} -- /* nested /* */ */",
    f"{MARK}\0zero",
    f"\0{MARK}\0\0",
    f"{MARK} \u00fc \u732b \U0001f408\u200d\u2b1b \u202eright to left \ufeff",
    f"{MARK}%s %n {{}} ${{x}} `id`",
    f"{MARK}\n\r\t\b\x7f\x1b[2J",
    f"{MARK}{{\"a\",NULL}}\\N",
    f"{MARK}{'x' * 494}",
]
# The only characters that names may have.
NAME = f"{MARK}--drop.table_1.--"
QUEUE = f"{MARK}--queue.--"
# Visible ASCII.
KEY = f"{MARK}';DROP/**/TABLE--$1\\\"{{}}%s"


@pytest.fixture(scope="module")
def database():
    with DatabaseServer() as running:
        for setting in ["log_statement = 'all'", "log_parameter_max_length = 0", "log_parameter_max_length_on_error = 0", "log_line_prefix = '<%a>'"]:
            running.run(f"ALTER SYSTEM SET {setting}")
        running.run("SELECT pg_reload_conf()")
        yield running


@pytest.fixture(scope="module")
def replicas(database):
    with Server("--store", database.url, "--threads", "1") as a, Server("--store", database.url, "--threads", "1") as b:
        yield [a, b]


def statements(database):
    """Those of the service in the log of the server, and errors that it has told the service."""
    found, errors = set(), []
    for entry in re.split(r"\n(?!\t)", Path(database.folder, "server.log").read_text(errors="replace")):
        parts = re.fullmatch(r"<nearfar \w+>(\w+):  (?:(?:execute <unnamed>|statement): )?(.*)", entry, re.DOTALL)
        if parts and parts[1] == "LOG":
            found.add(" ".join(parts[2].split()))
        elif parts:
            errors.append(entry)
    return found, errors


def points():
    return [
        {"id": text, "vector": [number + 1.0, -0.5], "text": text, "metadata": {text: text, "n": number, "deep": {"list": [text, None]}}}
        for number, text in enumerate(STRINGS)
    ]


def everything(replica, path, token):
    body = {"include": ["vector", "text", "metadata"], "limit": 1000}
    answer = replica.request("POST", f"{path}/list", json=body, headers={SEEN: token})
    assert answer.status_code == 200, answer.text
    return answer.json()["points"]


def in_order(all_points):
    return sorted(all_points, key=lambda point: point["id"].encode())


def test_what_clients_send_stays_out_of_statements(database, replicas):
    one, other = replicas
    path = f"/collections/{NAME}"
    keyed = {"Idempotency-Key": KEY}
    assert one.put(path, {"dim": 2, "metric": "euclidean"}).status_code == 201
    sent = points()
    answer = one.put(f"{path}/points", {"points": sent}, headers=keyed)
    assert answer.json() == {"version": 1, "upserted": len(sent)}
    token = answer.headers[TOKEN]
    # The other replica has everything as it was sent, and does nothing again.
    assert everything(other, f"{path}/points", token) == in_order(sent)
    assert other.put(f"{path}/points", {"points": sent}, headers=keyed).json() == answer.json()
    assert other.put(f"{path}/points", {"points": sent[:1]}, headers=keyed).status_code == 422
    stored = database.run("SELECT encode(id, 'hex'), encode(text, 'hex') FROM nearfar.points ORDER BY id").splitlines()
    assert stored == [f"{text.encode().hex()}|{text.encode().hex()}" for text in sorted(STRINGS, key=str.encode)]

    for number, text in enumerate(STRINGS):
        quoted = urllib.parse.quote(text, safe="")
        found = other.get(f"{path}/points/{quoted}?consistency=strong")
        assert found.status_code == 200 and found.json()["id"] == text and found.json()["text"] == text
        rest = other.get(f"{path}/points?limit=100&after={quoted}").json()["points"]
        assert len(rest) == sum(each.encode() > text.encode() for each in STRINGS)
        for condition in [{"n": number}, {"deep.list": text}, {"$and": [{"deep.list": {"$in": [text]}}, {"n": {"$exists": True}}]}]:
            counted = one.post(f"{path}/points/count", {"filter": condition, "consistency": "strong"})
            assert counted.json()["count"] == 1, (condition, counted.text)
        nearest = other.ask("/neighbors", {"collection": NAME, "vectors": [[0, 0]], "k": 3, "filter": {"deep.list": text}, "consistency": "strong"})
        assert [each["id"] for each in nearest["results"][0]] == [text]

    # Metadata of some is merged and replaced, and some points are deleted, by their ids and by filters.
    merged = one.request("PATCH", f"{path}/points", json={"points": [{"id": STRINGS[0], "metadata": {STRINGS[1]: STRINGS[2], "n": None}}]}, headers={"Idempotency-Key": f"{KEY}2"})
    assert merged.status_code == 200, merged.text
    sent[0]["metadata"] = {**sent[0]["metadata"], STRINGS[1]: STRINGS[2]}
    del sent[0]["metadata"]["n"]
    assert other.post(f"{path}/points/delete", {"ids": [STRINGS[3], f"{MARK} none' --"]}).json()["deleted"] == 1
    answer = one.post(f"{path}/points/delete", {"filter": {"deep.list": {"$in": [STRINGS[5], STRINGS[4]]}}}, headers={"Idempotency-Key": f"{KEY}3"})
    assert answer.json()["deleted"] == 2
    kept = in_order([sent[0], *sent[1:3], *sent[6:]])
    assert everything(other, f"{path}/points", answer.headers[TOKEN]) == kept
    assert everything(one, f"{path}/points", answer.headers[TOKEN]) == kept
    # A third one, which loads all of it.
    with Server("--store", database.url, "--threads", "1", "--follow") as late:
        assert everything(late, f"{path}/points", answer.headers[TOKEN]) == kept
    assert other.get(f"{path}/export").status_code == 200 and other.get(f"{path}/digest").json()["version"] == 4

    # Texts that the service embeds.
    texts = [{"id": text, "text": text.replace("\0", " ")} for text in STRINGS]
    assert one.put(f"/collections/{MARK}.texts", {"dim": 384}).status_code == 201
    answer = one.put(f"/collections/{MARK}.texts/points", {"points": texts})
    assert answer.status_code == 200, answer.text
    assert [point["text"] for point in everything(other, f"/collections/{MARK}.texts/points", answer.headers[TOKEN])] == [point["text"] for point in in_order(texts)]

    # A queue, and answers that are kept with their keys.
    assert one.put(f"/queues/{QUEUE}", {"capacity": 4, "dim": 2}).status_code == 201
    rows = np.eye(2).tolist()
    body = {"objective": "moco", "queries": rows, "keys": rows, "queue": QUEUE}
    first = one.post("/loss", body, headers={"Idempotency-Key": f"{KEY}4"})
    again = other.post("/loss", body, headers={"Idempotency-Key": f"{KEY}4", SEEN: first.headers[TOKEN]})
    assert first.status_code == again.status_code == 200 and first.content == again.content
    assert other.get(f"/queues/{QUEUE}", headers={SEEN: first.headers[TOKEN]}).json()["appended"] == 2

    # What is refused does not get there either.
    for path in [f"/collections/{MARK}'--", f"/collections/{MARK}%00", f"/queues/{MARK}%3B--"]:
        assert one.put(path, {"dim": 2, "capacity": 2}).status_code == 422
    for text in [f"{NAME}':1:1", f"{NAME}:1';--:1", f"{NAME}:1:1;--", f"{MARK}' OR 1=1"]:
        assert one.get(f"/collections/{NAME}", headers={SEEN: text}).status_code == 422
    assert one.get(f"/collections/{MARK}.none", headers={SEEN: f"{MARK}.none:1:1"}).status_code == 404
    for path in [f"/queues/{QUEUE}", f"/collections/{NAME}", f"/collections/{MARK}.texts"]:
        assert other.delete(path).status_code == 204

    found, errors = statements(database)
    assert errors == []
    assert any("INSERT INTO nearfar.points" in each for each in found) and any(each.startswith("COPY") for each in found)
    assert any("nearfar.queue_batches" in each for each in found) and any("nearfar.keys" in each for each in found)
    assert not [each for each in found if MARK.lower() in each.lower()]
    # Each of them stands in the sources, word for word.
    sources = " ".join(" ".join(path.read_text().split()) for path in (ROOT / "Sources" / "PostgresRecords").rglob("*.swift"))
    assert [each for each in sorted(found) if each not in sources] == []
    assert len(found) < 80
