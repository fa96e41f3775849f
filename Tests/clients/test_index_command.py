"""`nearfar index`, which stores a file of JSON lines in a collection."""

import json
import subprocess
import time

import pytest
from commands import run
from golden import BY_TEXT, assert_vectors
from process import BINARY, clean_environment, wait_until
from scripted_service import ScriptedService

TEXTS = ["The cat sits on the mat.", "Interest rates rose by 0.25 percentage points in June.", "a"]


def write(path, lines):
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def index(url, path, *more, collection="c", stdin=None):
    return run(
        "index", "--input", path, "--collection", collection, "--text-field", "body", "--url", url, *more, stdin=stdin
    )


def points_of(server, name):
    return server.get(f"/collections/{name}/points", params={"limit": 10000}).json()["points"]


def test_a_file(server, name, tmp_path):
    lines = [{"key": f"k{i}", "body": text, "lang": "en", "deep": {"n": [i, 2.5]}} for i, text in enumerate(TEXTS)]
    path = write(tmp_path / "docs.jsonl", [lines[0], "", lines[1], "  ", lines[2]])
    done = index(server.url, path, "--id-field", "key", "--batch", 2, collection=name)
    assert done.returncode == 0, done.stderr
    assert b"indexed 3 points" in done.stderr and done.stdout == b""
    described = server.get(f"/collections/{name}").json()
    assert (described["dim"], described["metric"], described["count"]) == (384, "cosine", 3)
    assert described["model"] == server.get("/info").json()["model"]["fingerprint"]
    for number, (text, point) in enumerate(zip(TEXTS, points_of(server, name), strict=True)):
        assert point["id"] == f"k{number}" and point["text"] == text
        assert point["metadata"] == {"lang": "en", "deep": {"n": [number, 2.5]}}
        assert_vectors(point["vector"], BY_TEXT[text])
    assert [entry.name for entry in tmp_path.iterdir()] == ["docs.jsonl"]


def test_line_numbers_as_ids_and_chosen_metadata(server, name, tmp_path):
    path = write(tmp_path / "d", [{"body": "a", "x": 1, "y": 2}, "", {"body": "a", "z": 3}])
    for _ in range(2):
        done = index(server.url, path, "--metadata-fields", "x,z", collection=name)
        assert done.returncode == 0, done.stderr
    points = points_of(server, name)
    assert [(point["id"], point["metadata"]) for point in points] == [("1", {"x": 1}), ("3", {"z": 3})]


def test_standard_input_without_a_last_line_end(server, name):
    text = b"\xef\xbb\xbf" + b'{"body":"a","id":7}\r\n{"body":"a","id":"x"}'
    done = index(server.url, "-", "--id-field", "id", collection=name, stdin=text)
    assert done.returncode == 0, done.stderr
    assert [point["id"] for point in points_of(server, name)] == ["7", "x"]


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_an_id_that_comes_again_replaces(server, name, tmp_path, batch):
    """The printed count is the number of points that are stored."""
    path = write(tmp_path / "d", [{"id": "a", "body": "first"}, {"id": "b", "body": "a"}, {"id": "a", "body": "last"}])
    done = index(server.url, path, "--id-field", "id", "--batch", batch, collection=name)
    assert done.returncode == 0, done.stderr
    assert [(point["id"], point["text"]) for point in points_of(server, name)] == [("a", "last"), ("b", "a")]
    said = done.stderr.decode()
    assert "indexed 2 points in " in said and "; 1 line replaced an earlier one with the same id" in said


def test_ids_differ_by_their_bytes(server, name, tmp_path):
    """The composed and the decomposed form of a letter are two ids."""
    path = write(tmp_path / "d", [{"id": "\u00e9", "body": "a"}, {"id": "e\u0301", "body": "a"}])
    done = index(server.url, path, "--id-field", "id", collection=name)
    assert done.returncode == 0, done.stderr
    assert server.get(f"/collections/{name}").json()["count"] == 2
    assert b"indexed 2 points in " in done.stderr and b"replaced" not in done.stderr


@pytest.mark.parametrize(
    "line, cause",
    [
        ({"id": "x", "text": "a", "n": 1}, "line 1: the field 'body' is missing; the line has 'id', 'text', 'n'"),
        ({}, "line 1: the field 'body' is missing; the line has no fields"),
        ({"id": "x", "body": ["a"]}, "line 1: the field 'body' is not a string"),
        ({"id": [], "body": "a"}, "line 1: the field 'id' is neither a string nor a whole number"),
        ("{", "line 1: not valid JSON"),
        # Only the service can refuse this line.
        ({"id": "x", "body": "a" * 1_000_001}, "line 1: the text has 1000001 characters; the service's limit is 1000000"),
    ],
    ids=["misspelt", "empty", "list", "id", "json", "long"],
)
def test_nothing_is_made_before_the_first_good_line(server, name, tmp_path, line, cause):
    path = write(tmp_path / "d", [line])
    done = index(server.url, path, "--id-field", "id", collection=name)
    assert done.returncode == 1
    assert cause in done.stderr.decode()
    assert server.get(f"/collections/{name}").status_code == 404
    skipped = index(server.url, path, "--id-field", "id", "--skip-bad", collection=name)
    assert skipped.returncode == 0
    assert "indexed 0 points in " in skipped.stderr.decode() and "; 1 line was skipped" in skipped.stderr.decode()
    assert server.get(f"/collections/{name}").status_code == 404
    # With a good line after the bad one, the collection is made.
    write(path, [line, {"id": "y", "body": "a"}])
    done = index(server.url, path, "--id-field", "id", "--skip-bad", collection=name)
    assert done.returncode == 0 and b"indexed 1 point in " in done.stderr, done.stderr
    assert [point["id"] for point in points_of(server, name)] == ["y"]


def test_an_input_without_lines_makes_nothing(server, name, tmp_path):
    done = index(server.url, write(tmp_path / "d", ["", " "]), collection=name)
    assert done.returncode == 0 and b"indexed 0 points in " in done.stderr, done.stderr
    assert server.get(f"/collections/{name}").status_code == 404


@pytest.mark.parametrize(
    "bad, cause",
    [
        ("{", "JSON"),
        ("[1]", "object"),
        ({"id": "x"}, "body"),
        ({"id": "x", "body": 5}, "body"),
        ({"body": "a"}, "id"),
        ({"id": 1.5, "body": "a"}, "id"),
        ({"id": "", "body": "a"}, "id"),
        ({"id": "é" * 300, "body": "a"}, "id"),
        # When the service refuses a point, the error names its line.
        ({"id": "x", "body": "a" * 1_000_001}, "limit"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_line_stops_or_is_skipped(server, name, tmp_path, bad, cause):
    good = [{"id": f"g{number}", "body": "a"} for number in range(4)]
    path = write(tmp_path / "d", [*good[:2], bad, *good[2:]])
    done = index(server.url, path, "--id-field", "id", collection=name)
    assert done.returncode == 1
    assert "line 3: " in done.stderr.decode() and cause in done.stderr.decode(), done.stderr
    assert [point["id"] for point in points_of(server, name)] == ["g0", "g1"]
    skipped = index(server.url, path, "--id-field", "id", "--skip-bad", collection=name)
    assert skipped.returncode == 0, skipped.stderr
    assert "line 3: " in skipped.stderr.decode() and "1 line was skipped" in skipped.stderr.decode()
    assert [point["id"] for point in points_of(server, name)] == ["g0", "g1", "g2", "g3"]


LINES = [{"body": f"text {number}"} for number in range(100)]
ALL = [str(number + 1) for number in range(100)]


def test_it_goes_on_where_it_stopped(tmp_path):
    path = write(tmp_path / "d", LINES)
    with ScriptedService([200, 200, 200, 400]) as service:
        done = index(service.url, path, "--batch", 10)
        assert done.returncode == 1
        assert "lines 31 to 40" in done.stderr.decode() and "scripted" in done.stderr.decode()
        assert service.ids == ALL[:30]
        assert (tmp_path / "d.nearfar-progress").exists()
        done = index(service.url, path, "--batch", 10)
        assert done.returncode == 0, done.stderr
        assert b"behind line 30" in done.stderr
        assert service.ids == ALL
        assert not (tmp_path / "d.nearfar-progress").exists()


def test_killed_at_any_moment(server, name, tmp_path):
    path = write(tmp_path / "d", [{"body": f"a note about the number {number}"} for number in range(2000)])
    progress = tmp_path / "d.nearfar-progress"
    command = [BINARY, "index", "--input", path, "--collection", name, "--text-field", "body", "--url", server.url]
    for round in range(4):
        before = progress.read_bytes() if progress.exists() else None
        running = subprocess.Popen([*command, "--batch", "16"], stderr=subprocess.PIPE, env=clean_environment())
        assert wait_until(lambda: progress.exists() and progress.read_bytes() != before, 30)
        running.kill()
        said = running.communicate()[1]
        assert round == 0 or b"going on behind line" in said
        stored = json.loads(progress.read_bytes())["lines"]
        assert server.get(f"/collections/{name}").json()["count"] >= stored
    done = index(server.url, path, collection=name)
    assert done.returncode == 0 and b"going on behind line" in done.stderr
    points = {point["id"]: point["text"] for point in points_of(server, name)}
    assert points == {str(number + 1): f"a note about the number {number}" for number in range(2000)}
    assert not progress.exists()


def stopped_after_thirty(path, service):
    service.script = [200, 200, 200, 400]
    assert index(service.url, path, "--batch", 10).returncode == 1
    service.ids.clear()


def test_an_input_that_grew_is_gone_on_with(tmp_path):
    path = write(tmp_path / "d", LINES[:50])
    with ScriptedService() as service:
        stopped_after_thirty(path, service)
        write(path, LINES)
        assert index(service.url, path).returncode == 0
        assert service.ids == ALL[30:]


@pytest.mark.parametrize("change", ["input", "shorter", "flags", "collection", "progress"])
def test_a_change_starts_over(tmp_path, change):
    path = write(tmp_path / "d", LINES)
    with ScriptedService() as service:
        stopped_after_thirty(path, service)
        expected, more = ALL, []
        if change == "input":
            write(path, [{"body": "another"}, *LINES[1:]])
        elif change == "shorter":
            write(path, LINES[:3])
            expected = ALL[:3]
        elif change == "flags":
            more = ["--metadata-fields", "a"]
        elif change == "collection":
            service.version = 0
        else:
            (tmp_path / "d.nearfar-progress").write_bytes(b"\x00{")
        done = index(service.url, path, *more)
        assert done.returncode == 0, done.stderr
        assert service.ids == expected


def test_a_service_that_is_busy_or_away_for_a_while(tmp_path):
    path = write(tmp_path / "d", LINES)
    script = [200, 503, "drop", "drop", (503, [("Retry-After", "2")]), 502, 200]
    with ScriptedService(script) as service:
        began = time.monotonic()
        done = index(service.url, path, "--batch", 20)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - began >= 2
        assert service.ids == ALL


def test_patience_ends(tmp_path):
    path = write(tmp_path / "d", LINES)
    with ScriptedService([503] * 100) as service:
        began = time.monotonic()
        done = index(service.url, path, "--retry", 1)
        assert done.returncode == 1 and b"503" in done.stderr
        assert 0.9 < time.monotonic() - began < 20
        assert service.ids == []
    done = index("http://127.0.0.1:9", path, "--retry", 0)
    assert done.returncode == 1 and b"connect" in done.stderr


def test_usage(tmp_path):
    path = write(tmp_path / "d", LINES[:1])
    for arguments, status, cause in [
        (["--collection", "c", "--text-field", "b"], 2, "--input"),
        (["--input", path, "--text-field", "b"], 2, "--collection"),
        (["--input", path, "--collection", "c"], 2, "--text-field"),
        (["--input", path, "--collection", "c", "--text-field", "b", "--batch", 0], 2, "--batch"),
        (["--input", path, "--collection", "c", "--text-field", "b", "--url", "ftp://x"], 2, "--url"),
        (["--input", path, "--collection", "c", "--text-field", "b", "--what", 1], 2, "--what"),
        (["--input", tmp_path / "none", "--collection", "c", "--text-field", "b"], 1, "none"),
    ]:
        done = run("index", *arguments)
        assert done.returncode == status and cause in done.stderr.decode(), done
