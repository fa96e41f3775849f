"""With progress=True, tqdm shows the progress where it is installed, otherwise a line of text."""

import sys

import numpy as np
import pytest
from nearfar.progress import PlainProgress, progress_bar


@pytest.fixture
def client(connect, service):
    client = connect(service.url)
    client.create_collection("shown", 3)
    yield client
    client.delete_collection("shown")


CALLS = {
    "embed": (lambda client: client.embed(["a"] * 5, batch_size=2, progress=True), "5", "texts"),
    "similarity": (lambda client: client.similarity("a", ["b"] * 3, progress=True), "3", "sentences"),
    "upsert": (lambda client: client.upsert(list("abc"), np.eye(3), batch_size=2, collection="shown", progress=True), "3", "points"),
    "neighbors": (lambda client: client.neighbors(vectors=np.eye(3), collection="shown", progress=True), "3", "queries"),
    "delete": (lambda client: client.delete_points(list("abcd"), collection="shown", progress=True), "4", "points"),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("installed", [True, False], ids=["tqdm", "plain"])
def test_calls_show_how_far_they_are(client, capsys, monkeypatch, name, installed):
    call, total, unit = CALLS[name]
    if not installed:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    call(client)
    shown = capsys.readouterr()
    assert shown.out == ""
    if installed:
        assert f"{name}: 100%" in shown.err and f"{total}/{total}" in shown.err and unit in shown.err
    else:
        assert shown.err.endswith(f"{name}: {total} of {total} {unit} (100 %)\n")


def test_iterators_show_how_far_they_are(client, capsys):
    client.upsert(list("abcde"), np.eye(5, 3) + 1, collection="shown")
    assert len(list(client.points("shown", page_size=2, progress=True))) == 5
    assert "5" in capsys.readouterr().err
    assert len(list(client.export_parts("shown", part_size=2, progress=True))) == 3
    assert "export: 100%" in capsys.readouterr().err


def test_nothing_is_shown_unless_it_is_wanted(client, capsys):
    client.embed(["a"] * 5, batch_size=2)
    assert capsys.readouterr().err == ""


def test_plain_lines(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("nearfar.progress.time.monotonic", lambda: now[0])
    shown = PlainProgress("embed", 10, "texts")
    for seconds, count in [(0, 2), (0.1, 2), (1, 2), (0.1, 4)]:
        now[0] += seconds
        shown.advance(count)
    assert capsys.readouterr().err == "embed: 2 of 10 texts (20 %)\nembed: 6 of 10 texts (60 %)\nembed: 10 of 10 texts (100 %)\n"
    PlainProgress("points", None, "points").advance(3)
    assert capsys.readouterr().err == "points: 3 points\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = PlainProgress("embed", 4, "texts")
    shown.advance(1)
    now[0] += 1
    shown.advance(3)
    assert capsys.readouterr().err == "embed: 1 of 4 texts (25 %)\rembed: 4 of 4 texts (100 %)\n"


def test_a_bar_is_closed_when_a_call_fails(capsys):
    with pytest.raises(KeyError):
        with progress_bar(True, "embed", 4, "texts") as advance:
            advance(1)
            raise KeyError("a")
    assert "embed:  25%" in capsys.readouterr().err
