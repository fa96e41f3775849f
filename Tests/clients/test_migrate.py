"""`nearfar migrate`: the copy of a data folder in a database has everything, goes on after a kill, and never mixes with other content."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from commands import run
from database import DatabaseServer
from process import BINARY, Server, clean_environment, wait_until
from tensors import pack

POINTS, DIM = 50_000, 64
# The most points of one version of a copy.
BATCH = 1000


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    running = DatabaseServer(tmp_path_factory.mktemp("database"))
    yield running
    running.stop()


@pytest.fixture
def database(databases):
    return databases.create()


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A folder with 50,000 points that were written in no order of their ids."""
    folder = tmp_path_factory.mktemp("wide")
    random = np.random.default_rng(3)
    with Server("--data", str(folder)) as server:
        server.put("/collections/wide", {"dim": DIM, "metric": "dot"})
        order = random.permutation(POINTS)
        for start in range(0, POINTS, 10_000):
            ids = [f"p{number:05}" for number in order[start:start + 10_000]]
            body = pack({"vectors": random.standard_normal((len(ids), DIM)).astype("<f4")}, {"ids": json.dumps(ids)})
            stored = server.request(
                "PUT", "/collections/wide/points", data=body, headers={"Content-Type": "application/x-safetensors"})
            assert stored.status_code == 200, stored.text
    return folder


def migrate(folder, url, status=0, **more):
    done = run("migrate", "--from", folder, "--to", url, **more)
    assert done.returncode == status, done.stderr.decode()
    return done.stdout.decode().splitlines(), done.stderr.decode()


def files(folder):
    """What the folder's files hold, but for SQLite's index of the log, which is made anew for every reader."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def rows(database):
    """Everything that the tables hold."""
    return [
        database.run(f"SELECT md5(string_agg(t::text, ' ' ORDER BY {order})) FROM nearfar.{table} t")
        for table, order in (("collections", "id"), ("points", "collection, id"), ("changes", "collection, version"))
    ]


def content(server):
    """Every collection and point as clients see them, but for the versions."""
    found = {}
    for said in server.get("/collections").json()["collections"]:
        points, after = [], None
        while True:
            page = server.get(
                f"/collections/{said['name']}/points", params={"limit": 1000, **({"after": after} if after else {})}).json()
            points += page["points"]
            after = page["next_after"]
            if after is None:
                break
        kept = {name: said[name] for name in ("dim", "metric", "count", "recall_target", "model")}
        found[said["name"]] = (kept, points)
    return found


def test_every_field_is_copied(tmp_path, database):
    folder = tmp_path / "data"
    server = Server("--data", str(folder))
    try:
        server.put("/collections/texts", {"dim": 384, "metric": "cosine", "recall_target": 0.9})
        server.put("/collections/texts/points", {"points": [
            {"id": "a", "text": "a cat", "metadata": {"n": 1, "deep": {"list": [1, None, "ü"]}}},
            {"id": "b", "text": "cars\u0000with a zero byte"},
            {"id": "e\u0301", "text": "two code points"}, {"id": "\u00e9", "text": "one code point"},
            {"id": "日本", "vector": [0.25] * 384, "metadata": {}}, {"id": "z\u0000", "vector": [-0.0] * 383 + [1e-30]},
        ]})
        for name, metric in (("dots", "dot"), ("far", "euclidean")):
            server.put(f"/collections/{name}", {"dim": 3, "metric": metric})
            for batch in range(3):
                server.put(f"/collections/{name}/points", {"points": [
                    {"id": f"p{(37 * each + batch) % 100}", "vector": [each + 1, batch, -0.5]} for each in range(60)]})
            server.post(f"/collections/{name}/points/delete", {"ids": ["p1", "p5"]})
        server.put("/collections/emptied", {"dim": 384})
        server.put("/collections/emptied/points", {"points": [{"id": "a", "text": "gone, but its model stays"}]})
        server.post("/collections/emptied/points/delete", {"ids": ["a"]})
        server.put("/collections/dropped", {"dim": 3})
        server.delete("/collections/dropped")
        expected = content(server)
        assert expected["texts"][0]["count"] == 6 and expected["emptied"][0]["model"]
    finally:
        # What a killed service leaves in its log is copied, too.
        server.process.kill()
        server.stop()
    before = files(folder)
    lines, said = migrate(folder, database.url)
    assert [line.split(":")[0] for line in lines] == ["default", "texts", "dots", "far", "emptied"]
    assert lines[1].startswith("texts: 6 points copied; both sides have the digest ")
    assert "comparing collection 'texts'" in said
    assert files(folder) == before
    with Server("--store", database.url) as server:
        assert content(server) == expected


def test_a_second_run_changes_nothing(wide, database):
    began = time.monotonic()
    first, said = migrate(wide, database.url)
    seconds = time.monotonic() - began
    print(f"{POINTS} points of {DIM} values copied and compared in {seconds:.1f} s; {said.splitlines()[-1]}")
    before = rows(database)
    again, _ = migrate(wide, database.url)
    assert rows(database) == before
    assert again[1] == first[1].replace("copied;", f"copied, {POINTS} of them by an earlier call;")
    # The address can come from the environment.
    done = run("migrate", "--from", wide, environment={"NEARFAR_STORE": database.url})
    assert done.returncode == 0 and done.stdout.decode().splitlines() == again
    assert rows(database) == before


def test_a_killed_run_goes_on(wide, database):
    """Killed twice at some point in the middle; then the copy has every point once."""
    for least in (3, 20):
        process = subprocess.Popen(
            [BINARY, "migrate", "--from", wide, "--to", database.url], stderr=subprocess.DEVNULL, env=clean_environment())

        def version():
            try:
                return int(database.run("SELECT version FROM nearfar.collections WHERE name = 'wide'") or 0)
            except subprocess.CalledProcessError:
                # The tables are not there yet.
                return 0

        assert wait_until(lambda: version() >= least or process.poll() is not None, 60)
        process.kill()
        assert process.wait() == -9
    reached = version()
    assert least <= reached < POINTS // BATCH
    lines, _ = migrate(wide, database.url)
    assert f"wide: {POINTS} points copied, " in lines[1]
    found = int(lines[1].split("copied, ")[1].split()[0])
    assert found >= reached * BATCH and found % BATCH == 0
    assert database.run("SELECT count, version FROM nearfar.collections WHERE name = 'wide'") == f"{POINTS}|{POINTS // BATCH}"
    assert database.run("SELECT count(*), count(DISTINCT id) FROM nearfar.points") == f"{POINTS}|{POINTS}"


def peak(pid):
    """KiB that the process has had at most; 0 once it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def test_memory_does_not_grow_with_the_collection(tmp_path, database):
    """256 MB of texts pass through a process that never has them all."""
    text = "0123456789" * 10_000
    with Server("--data", str(tmp_path / "data")) as server:
        server.put("/collections/c", {"dim": 2})
        for batch in range(80):
            stored = server.put("/collections/c/points", {"points": [
                {"id": f"{batch:02}-{each:02}", "vector": [1, each], "text": text} for each in range(32)]})
            assert stored.status_code == 200
    process = subprocess.Popen(
        [BINARY, "migrate", "--from", tmp_path / "data", "--to", database.url], stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, env=clean_environment())
    # What the system says of a child that has ended counts the memory of this process, too, which it was forked from.
    most = 0
    while process.poll() is None:
        most = max(most, peak(process.pid))
        time.sleep(0.02)
    print(f"most memory: {most // 1024} MiB")
    assert process.returncode == 0 and 10 * 1024 < most < 100 * 1024
    assert database.run("SELECT count(*), sum(octet_length(text)) FROM nearfar.points") == "2560|256000000"


def test_a_damaged_folder_is_refused_before_anything_is_written(wide, database, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(wide, folder)
    path = folder / "nearfar.sqlite"
    data = bytearray(path.read_bytes())
    place = data.find(b"p44444")
    data[place + 30] ^= 1
    path.write_bytes(data)
    _, said = migrate(folder, database.url, status=1)
    assert "is damaged: collection 'wide', point 'p" in said
    assert database.run("SELECT count(*) FROM nearfar.collections") == "0"


def small(folder, points=3, **settings):
    """A folder with a collection `c`."""
    with Server("--data", str(folder)) as server:
        server.put("/collections/c", {"dim": 2, "metric": "dot", **settings})
        server.put("/collections/c/points", {"points": [{"id": f"p{each}", "vector": [each, 1]} for each in range(points)]})
        server.put("/collections/first", {"dim": 2})
    return folder


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"dim": 3, "metric": "dot"}, "its dimension is 3, and 2 in the folder"),
        ({"dim": 2, "metric": "cosine"}, "its metric is cosine, and dot in the folder"),
        ({"dim": 2, "metric": "dot", "recall_target": 0.8}, "its recall target is 0.8, and the default in the folder"),
    ],
)
def test_other_settings_are_refused(tmp_path, database, settings, reason):
    folder = small(tmp_path / "data")
    with Server("--store", database.url) as server:
        server.put("/collections/c", settings)
    before = rows(database)
    _, said = migrate(folder, database.url, status=1)
    assert f"collection 'c' in postgresql://nearfar@/" in said and reason in said
    assert rows(database) == before


@pytest.mark.parametrize("change", ["the same point", "another point", "deleted since", "written since"])
def test_other_content_is_refused(tmp_path, database, change):
    folder = small(tmp_path / "data")
    if "since" in change:
        migrate(folder, database.url)
    with Server("--store", database.url) as server:
        if change == "deleted since":
            server.post("/collections/c/points/delete", {"ids": ["p1"]})
        else:
            server.put("/collections/c", {"dim": 2, "metric": "dot"})
            vector = [0, 1] if change == "the same point" else [5, 5]
            server.put("/collections/c/points", {"points": [{"id": "p0", "vector": vector}]})
    before = rows(database)
    _, said = migrate(folder, database.url, status=1)
    assert "collection 'c' in postgresql://" in said and "content that was not copied from" in said
    assert rows(database) == before


def test_what_is_lost_in_the_database_is_named(wide, tmp_path, database):
    folder = small(tmp_path / "data", points=9)
    migrate(folder, database.url)
    database.run("DELETE FROM nearfar.points WHERE id = 'p4'; UPDATE nearfar.collections SET count = 8 WHERE name = 'c'")
    lines, said = migrate(folder, database.url, status=1)
    assert lines == [] and "collection 'c' in" in said and "point 'p4' is missing" in said
    database.run("UPDATE nearfar.points SET text = 'x' WHERE id = 'p2'")
    _, said = migrate(folder, database.url, status=1)
    assert "point 'p2' of collection 'c' is not as it was written" in said


def test_a_service_writes_to_the_copy_afterwards(tmp_path, database):
    folder = small(tmp_path / "data")
    migrate(folder, database.url)
    with Server("--store", database.url) as server:
        stored = server.put("/collections/c/points", {"points": [{"id": "new", "vector": [9, 9]}]})
        assert stored.json()["version"] == 2
        found = server.ask("/neighbors", {"collection": "c", "vectors": [[1, 1]], "k": 2})["results"][0]
        assert [near["id"] for near in found] == ["new", "p2"]


def test_a_folder_in_use_and_one_that_is_not_there(tmp_path, database):
    with Server("--data", str(tmp_path / "data")):
        _, said = migrate(tmp_path / "data", database.url, status=1)
        assert "is in use" in said
    _, said = migrate(tmp_path / "none", database.url, status=1)
    assert f"{tmp_path}/none/nearfar.sqlite is not there" in said and not (tmp_path / "none").exists()


def test_a_database_that_is_needed(tmp_path):
    done = run("migrate", "--from", tmp_path)
    assert done.returncode == 2 and b"--to is required, or the variable NEARFAR_STORE" in done.stderr
    for url in ("/some/folder", "mysql://user:secret@host/db"):
        done = run("migrate", "--from", tmp_path, "--to", url)
        assert done.returncode == 2 and b"--to: must be the address of a database" in done.stderr
        assert b"secret" not in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s%zzecret@localhost/db", "postgresql://user:secret@localhost:port/db",
        "postgresql://user:secret@localhost/db?nonsense=secret", "postgresql://user:secret/more@localhost/db",
        "postgresql://user@localhost/db?password=se%zzcret",
    ],
)
def test_an_address_that_cannot_be_read(wide, url):
    """It is known at once, and nothing of it is shown, since any part may be one of the password."""
    done = run("migrate", "--from", wide, "--to", url, timeout=10)
    said = done.stderr.decode()
    assert done.returncode == 1 and "the address of the database cannot be read" in said
    assert "cret" not in said


def test_no_password_is_shown(wide, database):
    url = database.url.replace("nearfar@", "nobody:secret@")
    _, said = migrate(wide, url, status=1)
    assert "postgresql://nobody:***@/" in said and "secret" not in said and 'role "nobody" does not exist' in said
