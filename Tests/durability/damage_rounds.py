"""Damages a folder and starts the server: it must serve exactly what was answered, or refuse and name the file."""

import hashlib
import random
from pathlib import Path

from content import look
from damage import Damage, draw
from images import Image, images
from server import Server, StartFailed, check
from writers import WRITERS

ROUNDS_PER_IMAGE = 8


def fingerprint(folder: str) -> dict[str, str]:
    """A hash of every file that holds data."""
    # Empty files, such as the lock or an empty log, hold no data, and SQLite rebuilds the log's index.
    paths = [path for path in Path(folder).iterdir() if path.stat().st_size > 0 and path.suffix != ".sqlite-shm"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def graph_problems(damage: Damage, lines: str) -> list[str]:
    """Checks that the server's log says what became of a damaged graph."""
    # A file with too few of the points is not used, whether it is damaged or not.
    read = "read the graph of" in lines or "does not fit the records: building the graph anew" in lines
    named = f"{damage.path} is damaged" in lines and "building the graph anew" in lines
    expected = {"removed": "building the graph of" in lines, "partial": read and not damage.path.exists()}.get(
        damage.kind, read or named)
    return [] if expected else [f"the log does not say what became of the graph: {lines[-1000:]}"]


def lowest(damage: Damage, image: Image, answered: int) -> int | None:
    """The lowest version that may be served, or None when everything that was answered must be served."""
    if damage.part != "log" or image.floor is None:
        return None
    # The end of a log may be lost, because commits that are not marked yet cannot be distinguished from ones that were never
    # written. A flipped byte loses at most the last transaction, which has at most one batch of each writer.
    return max(image.floor, answered - WRITERS) if damage.kind.startswith("flipped") else image.floor


def served_problems(binary: str, folder: str, image: Image, damage: Damage, seed: int) -> tuple[str, list[str]]:
    """Starts the server on a damaged copy; returns what it did, and a list of what is wrong with that."""
    writers = image.copy_to(folder)
    again = draw(random.Random(seed), folder)
    assert str(again) == str(damage)
    before = fingerprint(folder)
    try:
        server = Server(binary, folder)
    except StartFailed as failure:
        problems = [] if failure.code == 1 and folder in failure.text else [f"refused without the folder's name or the status 1: {failure}"]
        if fingerprint(folder) != before:
            problems.append("a refusal changed the files")
        if damage.part in ("graph", "shared", "mark", "lock"):
            problems.append(f"refused although no data is lost: {failure}")
        return "refused: " + failure.text.strip().splitlines()[-1].replace(folder, "DATA"), problems
    try:
        client = server.client()
        answered = max((v for w in writers for v in w.versions), default=image.before)
        floor = lowest(damage, image, answered)
        problems, version = look(client, writers, image.before, seed, floor)
        client.close()
        if damage.part == "graph":
            problems += graph_problems(damage, "".join(server.lines))
        what = "served" if version >= answered else f"served version {version} of {answered}, floor {floor}"
        what += " (graph anew)" if "is damaged" in "".join(server.lines) else ""
    finally:
        server.kill()
    return what, problems


def damage_rounds(binary: str, top: str, rounds: int, seed: int):
    """Yields for each round its name and a list of what is wrong."""
    source = images(binary, top, seed)
    image = None
    for number in range(rounds):
        if image is None or number % ROUNDS_PER_IMAGE == 0:
            image = next(source)
        folder = f"{top}/damaged"
        own = seed * 10_000 + number
        image.copy_to(folder)
        damage = draw(random.Random(own), folder)
        before = fingerprint(folder)
        code, lines, errors = check(binary, folder)
        problems = ["nearfar check changed the files"] if fingerprint(folder) != before else []
        what, found = served_problems(binary, folder, image, damage, own)
        problems += found
        # The result of `nearfar check` must agree with that of the start.
        refuses = what.startswith("refused") or "graph anew" in what
        if code != int(refuses) or (refuses and folder not in errors + "".join(lines)):
            problems.append(f"nearfar check exits {code}: {lines} {errors[-500:]}")
        yield f"damage {number + 1}, {image.name}: {damage}: {what}", problems
