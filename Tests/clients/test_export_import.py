"""Collections are exported as safetensors and imported again."""

import json
import socket
from urllib.parse import quote

import numpy as np
import pytest
from commands import run
from problems import problem
from tensors import pack, unpack

RANDOM = np.random.default_rng(7)
ROWS = RANDOM.standard_normal((300, 12)).astype("<f4")
IDS = [f"id {number:03d}/ü" for number in RANDOM.permutation(300)]
METADATA = [None if number % 3 == 0 else {"n": number, "s": ['"', "\\", "🙂"]} for number in range(300)]
TEXTS = [f"text {number}\n" if number % 2 else None for number in range(300)]


def fill(server, name, metric="euclidean"):
    assert server.put(f"/collections/{name}", {"dim": 12, "metric": metric}).status_code == 201
    points = []
    for identity, row, metadata, text in zip(IDS, ROWS, METADATA, TEXTS, strict=True):
        point = {"id": identity, "vector": row.tolist()}
        point |= {} if metadata is None else {"metadata": metadata}
        point |= {} if text is None else {"text": text}
        points.append(point)
    assert server.put(f"/collections/{name}/points", {"points": points}).status_code == 200


def lists(metadata):
    return {key: json.loads(metadata[key]) for key in ("ids", "metadata", "texts", "collection")}


ORDER = sorted(range(300), key=lambda place: IDS[place].encode())


def test_an_export_holds_everything(server, name):
    fill(server, name)
    response = server.get(f"/collections/{name}/export")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/x-safetensors"
    assert int(response.headers["Content-Length"]) == len(response.content)
    assert response.headers["X-Request-Id"]
    tensors, metadata = unpack(response.content)
    assert list(tensors) == ["vectors"]
    assert np.array_equal(tensors["vectors"], ROWS[ORDER])
    said = lists(metadata)
    assert said["ids"] == [IDS[place] for place in ORDER]
    assert said["metadata"] == [METADATA[place] for place in ORDER]
    assert said["texts"] == [TEXTS[place] for place in ORDER]
    assert said["collection"] == server.get(f"/collections/{name}").json()


def test_parts(server, name):
    fill(server, name)
    found, after = [], None
    while True:
        page = {"limit": 70, **({"after": after} if after is not None else {})}
        tensors, metadata = unpack(server.get(f"/collections/{name}/export", params=page).content)
        ids = json.loads(metadata["ids"])
        assert tensors["vectors"].shape == (len(ids), 12)
        if not ids:
            break
        found += ids
        after = ids[-1]
    assert found == [IDS[place] for place in ORDER]


def shard(tmp_path, number, count):
    return tmp_path / f"c-{number:05d}-of-{count:05d}.safetensors"


def test_answers_of_one_version(server, name):
    """A write between two answers of an export is in neither of them."""
    fill(server, name)
    said, found, rows, url = server.get(f"/collections/{name}").json(), [], [], f"/collections/{name}/export?part=70"
    sizes = []
    while url:
        response = server.get(url)
        assert response.status_code == 200, response.text
        tensors, metadata = unpack(response.content)
        assert lists(metadata)["collection"] == said
        found += json.loads(metadata["ids"])
        rows.append(tensors["vectors"])
        sizes.append(len(tensors["vectors"]))
        link = response.links.get("next", {}).get("url")
        url = link and f"/collections/{name}/export{link}"
        gone = {"ids": IDS[len(sizes) * 40:][:40]}
        assert server.ask(f"/collections/{name}/points/delete", gone)["deleted"] == 40
    assert sizes == [70, 70, 70, 70, 20]
    assert found == [IDS[place] for place in ORDER]
    assert np.array_equal(np.concatenate(rows), ROWS[ORDER])
    problem(server.get(f"/collections/{name}/export?part=70&snapshot=1-1"), 409, "snapshot")
    problem(server.get(f"/collections/{name}/export?part=0"), 422, "part")


def test_a_limit_in_several_answers(server, name):
    fill(server, name)
    sizes, url = [], f"/collections/{name}/export?part=70&limit=150&after={quote(IDS[ORDER[9]])}"
    found = []
    while url:
        response = server.get(url)
        found += json.loads(unpack(response.content)[1]["ids"])
        sizes.append(len(found))
        link = response.links.get("next", {}).get("url")
        url = link and f"/collections/{name}/export{link}"
    assert sizes == [70, 140, 150]
    assert found == [IDS[place] for place in ORDER[10:160]]


def test_several_files_by_the_command_line(server, name, tmp_path):
    fill(server, name)
    path, copy = tmp_path / "c.safetensors", f"{name}.copy"
    server.delete(f"/collections/{copy}")
    path.write_bytes(b"an earlier export")
    out = run("export", "--collection", name, "--output", path, "--shard-points", 120, "--url", server.url)
    assert out.returncode == 0, out.stderr
    assert sorted(tmp_path.iterdir()) == [shard(tmp_path, number, 3) for number in (1, 2, 3)]
    assert b"300 points" in out.stderr and b"c-00003-of-00003.safetensors" in out.stderr
    parts = [unpack(shard(tmp_path, number, 3).read_bytes()) for number in (1, 2, 3)]
    assert np.array_equal(np.concatenate([tensors["vectors"] for tensors, _ in parts]), ROWS[ORDER])
    done = run("import", "--input", path, "--collection", copy, "--batch", 37, "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert b"imported 300 points" in done.stderr and b"3 files" in done.stderr
    first = unpack(server.get(f"/collections/{name}/export").content)
    second = unpack(server.get(f"/collections/{copy}/export").content)
    assert np.array_equal(first[0]["vectors"], second[0]["vectors"])
    assert {**lists(first[1]), "collection": 0} == {**lists(second[1]), "collection": 0}
    server.delete(f"/collections/{copy}")
    # A single file can be imported as well.
    only = run("import", "--input", shard(tmp_path, 2, 3), "--collection", copy, "--url", server.url)
    assert only.returncode == 0 and server.get(f"/collections/{copy}").json()["count"] == 120
    server.delete(f"/collections/{copy}")
    where = ["import", "--input", path, "--collection", copy, "--url", server.url]
    shard(tmp_path, 1, 4).write_bytes(b"")
    mixed = run(*where)
    assert mixed.returncode == 1 and b"different exports" in mixed.stderr
    shard(tmp_path, 1, 4).unlink()
    shard(tmp_path, 2, 3).unlink()
    missing = run(*where)
    assert missing.returncode == 1 and b"c-00002-of-00003.safetensors is missing" in missing.stderr
    assert server.get(f"/collections/{copy}").status_code == 404


def test_rows_of_several_files_count_on(server, name, tmp_path):
    for number, part in enumerate(np.split(ROWS, [100, 250]), 1):
        shard(tmp_path, number, 3).write_bytes(pack({"vectors": part}))
    done = run("import", "--input", tmp_path / "c.safetensors", "--collection", name, "--url", server.url)
    assert done.returncode == 0, done.stderr
    tensors, metadata = unpack(server.get(f"/collections/{name}/export").content)
    assert np.array_equal(tensors["vectors"], ROWS[[int(identity) for identity in json.loads(metadata["ids"])]])


def test_head_and_failures(server, name):
    fill(server, name)
    whole = server.get(f"/collections/{name}/export").content
    head = server.request("HEAD", f"/collections/{name}/export")
    assert head.status_code == 200 and head.headers["Content-Length"] == str(len(whole)) and head.content == b""
    problem(server.get("/collections/not-there/export"), 404, "collection")
    problem(server.get(f"/collections/{name}/export", params={"limit": "0"}), 422, "limit")
    problem(server.get(f"/collections/{name}/export", params={"page": "2"}), 422, "page")
    problem(server.post(f"/collections/{name}/export", {}), 405)


def test_an_empty_collection(server, name):
    assert server.put(f"/collections/{name}", {"dim": 5, "metric": "dot"}).status_code == 201
    tensors, metadata = unpack(server.get(f"/collections/{name}/export").content)
    assert tensors["vectors"].shape == (0, 5)
    assert lists(metadata)["ids"] == []


def test_an_export_is_one_version(server, name):
    """A write during an export is not part of it."""
    assert server.put(f"/collections/{name}", {"dim": 1024, "metric": "dot"}).status_code == 201
    rows = RANDOM.standard_normal((8000, 1024)).astype("<f4")
    ids = [f"{number:05d}" for number in range(8000)]
    for start in range(0, 8000, 2000):
        part = slice(start, start + 2000)
        body = pack({"vectors": rows[part]}, {"ids": json.dumps(ids[part])})
        kind = {"Content-Type": "application/x-safetensors"}
        assert server.request("PUT", f"/collections/{name}/points", data=body, headers=kind).status_code == 200
    with server.get(f"/collections/{name}/export", stream=True) as response:
        pieces = [response.raw.read(100_000)]
        assert server.ask(f"/collections/{name}/points/delete", {"ids": ids[4000:]})["deleted"] == 4000
        new = {"id": "00000", "vector": [1.0] * 1024}
        assert server.put(f"/collections/{name}/points", {"points": [new]}).status_code == 200
        while piece := response.raw.read(1 << 20):
            pieces.append(piece)
    tensors, metadata = unpack(b"".join(pieces))
    assert json.loads(metadata["ids"]) == ids
    assert np.array_equal(tensors["vectors"], rows)


def test_clients_that_leave(server, name, alive):
    fill(server, name)
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(f"GET /collections/{name}/export HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            connection.recv(100)


def test_a_round_trip_by_the_command_line(server, name, tmp_path):
    fill(server, name)
    shape = {"dim": 12, "metric": "euclidean"}
    assert server.put(f"/collections/{name}", {**shape, "recall_target": 0.9}).status_code == 200
    path, copy = tmp_path / "c.safetensors", f"{name}.copy"
    server.delete(f"/collections/{copy}")
    out = run("export", "--collection", name, "--output", path, "--url", server.url)
    assert out.returncode == 0, out.stderr
    assert path.read_bytes() == server.get(f"/collections/{name}/export").content
    assert not (tmp_path / "c.safetensors.part").exists()
    done = run("import", "--input", path, "--collection", copy, "--batch", 37, "--url", server.url)
    assert done.returncode == 0, done.stderr
    first = unpack(server.get(f"/collections/{name}/export").content)
    second = unpack(server.get(f"/collections/{copy}/export").content)
    assert np.array_equal(first[0]["vectors"], second[0]["vectors"])
    assert {**lists(first[1]), "collection": 0} == {**lists(second[1]), "collection": 0}
    made = server.get(f"/collections/{copy}").json()
    assert (made["metric"], made["recall_target"]) == ("euclidean", 0.9)
    query = {"vectors": [ROWS[5].tolist()], "k": 20, "exact": True}
    found = [server.ask("/neighbors", {"collection": which, **query})["results"] for which in (name, copy)]
    assert found[0] == found[1]
    # A second import changes nothing, not even the recall target that was set after the first.
    assert server.put(f"/collections/{copy}", {**shape, "recall_target": 0.95}).status_code == 200
    assert run("import", "--input", path, "--collection", copy, "--url", server.url).returncode == 0
    made = server.get(f"/collections/{copy}").json()
    assert (made["count"], made["recall_target"]) == (300, 0.95)
    server.delete(f"/collections/{copy}")


@pytest.mark.parametrize("kind", ["F32", "F16"])
def test_a_tensor_alone(server, name, tmp_path, kind):
    """A file with nothing but one tensor, as written from an array: row numbers become ids."""
    array = ROWS.astype("<f2") if kind == "F16" else ROWS
    path = tmp_path / "rows.safetensors"
    path.write_bytes(pack({"vectors": array}))
    done = run("import", "--input", path, "--collection", name, "--metric", "dot", environment={"NEARFAR_URL": server.url})
    assert done.returncode == 0, done.stderr
    assert server.get(f"/collections/{name}").json()["metric"] == "dot"
    tensors, metadata = unpack(server.get(f"/collections/{name}/export").content)
    places = [int(identity) for identity in json.loads(metadata["ids"])]
    assert sorted(places) == list(range(300))
    assert np.array_equal(tensors["vectors"], array.astype("<f4")[places])


@pytest.mark.parametrize("kind", ["<f4", "<f2"])
@pytest.mark.parametrize("value, cause", [(np.inf, "not finite"), (np.nan, "not finite"), (0, "zeros")])
def test_no_collection_is_made_for_rows_that_cannot_be_stored(server, name, tmp_path, kind, value, cause):
    path = tmp_path / "rows.safetensors"
    spoiled = ROWS.astype(kind)
    spoiled[7] = value
    path.write_bytes(pack({"vectors": spoiled}))
    done = run("import", "--input", path, "--collection", name, "--url", server.url)
    assert done.returncode == 1
    assert "row 7: vectors: " in done.stderr.decode() and cause in done.stderr.decode()
    assert server.get(f"/collections/{name}").status_code == 404


def test_an_import_counts_what_is_stored(server, name, tmp_path):
    """An id that occurs again, also in a later request, replaces the earlier point."""
    path = tmp_path / "rows.safetensors"
    path.write_bytes(pack({"vectors": ROWS[:4]}, {"ids": json.dumps(["a", "b", "a", "c"])}))
    done = run("import", "--input", path, "--collection", name, "--batch", 2, "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert server.get(f"/collections/{name}").json()["count"] == 3
    said = done.stderr.decode()
    assert "imported 3 points in " in said and "; 1 row replaced an earlier one with the same id" in said


def test_failures_of_the_commands(server, name, tmp_path):
    fill(server, name)
    narrow, broken, odd = tmp_path / "narrow", tmp_path / "broken", tmp_path / "odd"
    narrow.write_bytes(pack({"vectors": ROWS[:, :5]}))
    spoiled = ROWS.copy()
    spoiled[222, 3] = np.inf
    broken.write_bytes(pack({"vectors": spoiled}))
    odd.write_bytes(pack({"a": ROWS, "b": ROWS}))
    where = ["--url", server.url, "--retry", 0]
    for arguments, status, cause in [
        (["export", "--collection", "not-there", "--output", tmp_path / "x"], 1, "not-there"),
        (["export", "--collection", name, "--output", tmp_path / "no" / "x"], 1, "no/x"),
        (["export", "--collection", name], 2, "--output"),
        (["export", "--collection", name, "--output", tmp_path / "x", "--shard-points", 0], 2, "--shard-points"),
        (["export", "--collection", name, "--output", "-", "--shard-points", 9], 2, "--shard-points"),
        (["export", "--collection", name, "--output", "", "--limit", 1], 2, "--output must not be empty"),
        (["export", "--collection", name, "--output", "--limit", 1], 2, "--output needs a value"),
        (["import", "--collection", name], 2, "--input"),
        (["import", "--input", tmp_path / "none", "--collection", name], 1, "none"),
        (["import", "--input", narrow, "--collection", name], 1, "vectors of 5 values"),
        (["import", "--input", broken, "--collection", name, "--batch", 100], 1, "row 222"),
        (["import", "--input", odd, "--collection", name], 1, "vectors"),
        (["import", "--input", broken, "--collection", name, "--metric", "hamming"], 2, "--metric"),
        (["import", "--input", broken, "--collection", name, "--metric", "dot"], 1, "409"),
    ]:
        done = run(*arguments, *where)
        assert done.returncode == status, (arguments, done)
        assert cause in done.stderr.decode(), (arguments, done)
        assert done.stdout == b""
    assert not (tmp_path / "x").exists() and not (tmp_path / "x.part").exists()
    away = run("export", "--collection", name, "--output", tmp_path / "x", "--url", "http://127.0.0.1:9", "--retry", 0)
    assert away.returncode == 1 and b"connect" in away.stderr
    assert run("export", "--collection", name, "--output", tmp_path / "x", "--url", "ftp://a").returncode == 2
