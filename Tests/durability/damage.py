"""Damages one thing in a folder that a kill left behind."""

import os
import random
import struct
from dataclasses import dataclass
from pathlib import Path

LOG_HEADER = 32
FRAME_HEADER = 24


@dataclass
class Damage:
    """`part` is graph, log, database, shared, mark or lock; `kind` says what was done to `path`."""

    part: str
    kind: str
    path: Path
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.path.name} {self.kind}{self.detail}"


# (part, kind, weight when one is drawn)
CHOICES = [
    ("graph", "cut", 2),
    ("graph", "flipped", 4),
    ("graph", "removed", 1),
    ("graph", "garbage", 1),
    ("graph", "partial", 1),
    ("log", "cut", 3),
    ("log", "cut at a frame", 4),
    ("log", "cut at a commit", 4),
    ("log", "flipped", 3),
    ("log", "flipped near the end", 4),
    ("log", "removed", 2),
    ("log", "empty", 1),
    ("database", "cut", 3),
    ("database", "flipped", 8),
    ("database", "empty", 1),
    ("shared", "garbage", 1),
    ("shared", "removed", 1),
    ("mark", "flipped", 1),
    ("mark", "removed", 1),
    ("lock", "removed", 1),
]


def frames(log: Path) -> tuple[int, list[int]]:
    """Returns the bytes per frame, and the end of each frame that completes a commit of the log's current generation."""
    content = log.read_bytes()
    (page,) = struct.unpack(">I", content[8:12])
    size = FRAME_HEADER + page
    ends = []
    for start in range(LOG_HEADER, len(content) - size + 1, size):
        if content[start + 8 : start + 16] == content[16:24] and content[start + 4 : start + 8] != bytes(4):
            ends.append(start + size)
    return size, ends


def draw(generator: random.Random, folder: str) -> Damage:
    """Damages one thing in `folder`."""
    weights = [weight for _, _, weight in CHOICES]
    part, kind, _ = generator.choices(CHOICES, weights)[0]
    top = Path(folder)
    graph = next(top.glob("graph-*.safetensors"))
    path = {
        "graph": graph,
        "log": top / "nearfar.sqlite-wal",
        "database": top / "nearfar.sqlite",
        "shared": top / "nearfar.sqlite-shm",
        "mark": top / "mark",
        "lock": top / "lock",
    }[part]
    damage = Damage(part, kind, path)
    size = path.stat().st_size if path.exists() else 0
    if kind == "cut":
        damage.detail = cut(path, generator.randrange(size))
    elif kind == "cut at a frame":
        frame, _ = frames(path)
        damage.detail = cut(path, LOG_HEADER + frame * generator.randrange((size - LOG_HEADER) // frame))
    elif kind == "cut at a commit":
        _, ends = frames(path)
        # The cut is often near the end, where only few commits are lost.
        damage.detail = cut(path, ends[-1 - min(int(generator.expovariate(0.3)), len(ends) - 1)])
    elif kind == "empty":
        damage.detail = cut(path, 0)
    elif kind == "flipped near the end":
        damage.detail = flip_near_the_end(path, generator)
    elif kind == "flipped":
        damage.detail = flip(path, generator)
    elif kind == "removed":
        path.unlink(missing_ok=True)
    elif kind == "garbage":
        path.write_bytes(generator.randbytes(generator.choice([1, 100, 8192, size])))
    elif kind == "partial":
        damage.path = Path(f"{graph}.partial")
        damage.path.write_bytes(graph.read_bytes()[: generator.randrange(graph.stat().st_size)])
    return damage


def cut(path: Path, length: int) -> str:
    before = path.stat().st_size
    os.truncate(path, length)
    return f" to {length} of {before} bytes"


def flip(path: Path, generator: random.Random) -> str:
    """Changes one to three bytes, in a third of the calls among the first 200, where most faults are possible."""
    content = bytearray(path.read_bytes())
    among = min(len(content), 200) if generator.random() < 1 / 3 else len(content)
    places = [generator.randrange(among) for _ in range(generator.randint(1, 3))]
    for place in places:
        content[place] ^= generator.randint(1, 255)
    path.write_bytes(content)
    return f" at {places} of {len(content)} bytes"


def flip_near_the_end(path: Path, generator: random.Random) -> str:
    """Changes one byte of the last commits, in half of the calls in the header of a frame."""
    content = bytearray(path.read_bytes())
    size, ends = frames(path)
    first = ends[-4] if len(ends) > 3 else LOG_HEADER
    place = generator.randrange(first, ends[-1])
    if generator.random() < 0.5:
        place -= (place - LOG_HEADER) % size
        place += generator.randrange(FRAME_HEADER)
    content[place] ^= generator.randint(1, 255)
    path.write_bytes(content)
    return f" at {place}, {ends[-1] - place} before its end"
