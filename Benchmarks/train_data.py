"""WordNet as pairs of a lemma and a gloss, in an order of batches that both sides of train.py keep."""

import json
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import glosses

HELD_OUT = 2_000


@dataclass(frozen=True)
class Pair:
    lemma: str
    gloss: str


def synsets() -> list[Pair]:
    """The first lemma and the gloss of every synset, in the order of WordNet's files."""
    glosses.ensure_installed()
    found = []
    for part in glosses.PARTS:
        with open(glosses.FOLDER / f"data.{part}", encoding="utf-8") as lines:
            for line in lines:
                # The licence at the top of each file is indented by two spaces; a record never is.
                if line.startswith("  "):
                    continue
                # A record is `offset file type count lemma …| gloss`, with a marker such as (p) behind some adjectives.
                head, bar, gloss = line.partition(" | ")
                if bar and gloss.strip():
                    lemma = head.split()[4].partition("(")[0].replace("_", " ")
                    found.append(Pair(lemma, gloss.strip()))
    return found


def divided(seed: int = 42) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on in a random order, and HELD_OUT pairs; the same ones on every machine.

    No lemma and no gloss occurs twice among the pairs that are held out, so that each lemma has one right answer, and
    no held-out gloss is one of the others. A lemma may be, with another of its meanings.
    """
    shuffled = synsets()
    random.Random(seed).shuffle(shuffled)
    held: list[Pair] = []
    lemmas: set[str] = set()
    glosses_held: set[str] = set()
    rest = []
    for pair in shuffled:
        if len(held) < HELD_OUT and pair.lemma.lower() not in lemmas and pair.gloss not in glosses_held:
            held.append(pair)
            lemmas.add(pair.lemma.lower())
            glosses_held.add(pair.gloss)
        else:
            rest.append(pair)
    return [pair for pair in rest if pair.gloss not in glosses_held], held


def batches(pairs: Iterable[Pair], size: int, count: int) -> list[list[Pair]]:
    """The first `count` batches of `size` pairs in which no text occurs twice.

    A pair with a text that the batch has already waits for a later one. Otherwise the loss would punish a query for being
    near to a key that belongs to it.
    """
    waiting = deque(pairs)
    made = []
    while len(made) < count:
        batch: list[Pair] = []
        texts: set[str] = set()
        later: list[Pair] = []
        while len(batch) < size:
            if not waiting:
                raise SystemExit(f"WordNet has too few synsets for {count} batches of {size} pairs")
            pair = waiting.popleft()
            # Encoders that lower case, as this one does, see equal texts where only the case differs.
            both = {pair.lemma.lower(), pair.gloss.lower()}
            if len(both) < 2 or both & texts:
                later.append(pair)
                continue
            texts |= both
            batch.append(pair)
        waiting.extendleft(reversed(later))
        made.append(batch)
    return made


def write(pairs: Iterable[Pair], path: Path) -> Path:
    """In the form that `nearfar train --pairs` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for pair in pairs:
            file.write(json.dumps({"query": pair.lemma, "positive": pair.gloss}, ensure_ascii=False) + "\n")
    return path


def read(path: Path) -> tuple[list[str], list[str]]:
    """Queries and positives of a file that `write` has written."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["query"] for row in rows], [row["positive"] for row in rows]


def tokens(batch: Iterable[Pair], model: Path, longest: int) -> int:
    """Tokens of all texts, with those that frame a text and without padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    texts = [text for pair in batch for text in (pair.lemma, pair.gloss)]
    return sum(len(encoding.ids) for encoding in tokenizer.encode_batch(texts))
