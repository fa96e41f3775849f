"""A disk of the database that is really full: a tablespace on a file system of a few megabytes, where this process may mount one."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from database import Database, as_user
from replica import Replica, ask


@pytest.fixture
def small_disk():
    database = Database()
    place = database.folder / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=777", "tmpfs", str(place)], capture_output=True).returncode == 0
    if mounted:
        made = place / "space"
        subprocess.run(as_user(["mkdir", str(made)]), check=True)
        database.ask(f"CREATE TABLESPACE small LOCATION '{made}'")
    yield database, place if mounted else None
    database.stop("immediate")
    if mounted:
        subprocess.run(["umount", str(place)], check=True)
    database.remove()


def fill(replica: Replica, batches: int) -> tuple[list[int], dict]:
    """Writes batches of 100 points of 4 KiB each until one is refused."""
    statuses, answer = [], {}
    for batch in range(batches):
        points = [{"id": f"{batch}.{n}", "vector": [1, n], "text": f"{batch} {n} " + os.urandom(2000).hex()} for n in range(100)]
        status, _, content = ask(replica.port, "PUT", "/collections/full/points", {"points": points})
        statuses.append(status)
        answer = json.loads(content)
        if status != 200:
            break
    return statuses, answer


def test_a_full_disk(small_disk):
    database, place = small_disk
    with Replica(database.url) as replica:
        assert ask(replica.port, "PUT", "/collections/full", {"dim": 2, "metric": "cosine"})[0] == 201
        if place is None:
            # Mounting is not allowed here, so the server is made to answer as it would.
            print("without a file system of its own: the server answers as it does when the disk is full")
            database.ask(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (SELECT count(*) FROM nearfar.points) > 800 THEN "
                "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$; "
                "CREATE TRIGGER refuse BEFORE INSERT ON nearfar.points FOR EACH ROW EXECUTE FUNCTION refuse()")
        else:
            database.ask("ALTER TABLE nearfar.points SET TABLESPACE small")
        statuses, answer = fill(replica, 60)
        assert statuses[-1] == 507 and len(statuses) > 3 and set(statuses[:-1]) == {200}, (statuses, answer)
        assert answer["status"] == 507 and len(answer["detail"]) > 10
        kept = 100 * (len(statuses) - 1)
        for _ in range(2):
            status, _, content = ask(replica.port, "POST", "/collections/full/points/count", {})
            assert status == 200 and json.loads(content)["count"] == kept
        assert database.ask("SELECT version, count FROM nearfar.collections WHERE name = 'full'") == f"{kept // 100}|{kept}"
        assert database.ask("SELECT count(*) FROM nearfar.points") == str(kept)
        # With room again, the same write succeeds.
        if place is None:
            database.ask("DROP TRIGGER refuse ON nearfar.points")
        else:
            database.ask("ALTER TABLE nearfar.points SET TABLESPACE pg_default")
        statuses, answer = fill(replica, 1)
        assert statuses == [200] and answer["version"] == kept // 100 + 1


def test_no_test_leaves_a_mount_behind():
    assert "nfpg" not in Path("/proc/mounts").read_text()
