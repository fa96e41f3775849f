"""What the peers of embed.py have in common: tokens, batches of texts of similar length, and the choice of their size.

A peer runs in this process and gets the texts at once, so that it can sort them by length. Its two threads work
together on one batch, or on one batch each. The way and the size of the batches that are fastest on a part of the texts
are used.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from bert_folder import BertFolder

SIZES = (8, 16, 32, 64, 128)

# How many tokens a choice is timed on. More would take long, fewer would be two or three batches only.
TRIAL_TOKENS = 6_000

# Token ids and mask, both [n, length] int32, to vectors of unit length [n, hidden] f32. Several threads may call it.
Engine = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Unavailable(Exception):
    """This processor, or the peer on it, does not have the precision. The message says so."""


@dataclass(frozen=True)
class Way:
    """`calls` batches are computed at the same time, each with its part of the threads."""

    calls: int
    variant: str = ""

    def describe(self, size: int) -> str:
        return f"{size} texts a batch, {self.calls} at once" + (f", {self.variant}" if self.variant else "")


class EncoderPeer:
    """Subclasses load a model in `open`."""

    name: ClassVar[str]

    def __init__(self, precision: str, folder: BertFolder, threads: int) -> None:
        self.precision = precision
        self.folder = folder
        self.threads = threads
        self.tokenizer = folder.tokenizer()
        self.way = Way(1)
        self.size = 32
        self._engines: dict[Way, Engine] = {}

    @property
    def title(self) -> str:
        return f"{self.name} {self.precision}"

    def ways(self) -> list[Way]:
        return [Way(calls) for calls in range(1, self.threads + 1) if self.threads % calls == 0]

    def open(self, way: Way) -> Engine:
        raise NotImplementedError

    def engine(self) -> Engine:
        if self.way not in self._engines:
            self._engines[self.way] = self.open(self.way)
        return self._engines[self.way]

    def embed(self, texts: list[str]) -> np.ndarray:
        """[n, hidden] in the order of `texts`. Tokenization is part of it."""
        engine = self.engine()
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts)]
        order = sorted(range(len(texts)), key=lambda index: len(tokens[index]))
        rows = np.empty((len(texts), self.folder.hidden), np.float32)

        def one(chosen: list[int]) -> None:
            rows[chosen] = engine(*padded([tokens[index] for index in chosen]))

        self._each([order[start : start + self.size] for start in range(0, len(order), self.size)], one)
        return rows

    def _each(self, batches: list, work: Callable) -> None:
        # The longest come first, so that no thread begins with one when the others have nothing left.
        if self.way.calls == 1:
            for batch in reversed(batches):
                work(batch)
        else:
            with ThreadPoolExecutor(self.way.calls) as pool:
                for _ in pool.map(work, reversed(batches)):
                    pass

    def tune(self, texts: list[str]) -> None:
        """Chooses the way and the size of batches for these texts."""
        tokens = sorted((encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts)), key=len)
        best = 0.0
        choice = (self.way, self.size)
        for way in self.ways():
            self.way = way
            highest = 0.0
            for size, batches in trials(tokens, way.calls):
                rate = self._rate(batches)
                highest = max(highest, rate)
                if rate > best:
                    best = rate
                    choice = (way, size)
                # Larger batches only have more padding from here on.
                if rate < 0.9 * highest:
                    break
        self.way, self.size = choice
        self._engines = {self.way: self.engine()}

    def _rate(self, batches: list[list[list[int]]]) -> float:
        """Tokens a second, of the faster one of two runs. The first may have to compile kernels for these shapes."""
        engine = self.engine()
        inputs = [padded(batch) for batch in batches]
        count = sum(len(tokens) for batch in batches for tokens in batch)
        least = float("inf")
        for _ in range(2):
            start = time.perf_counter()
            self._each(inputs, lambda pair: engine(*pair))
            least = min(least, time.perf_counter() - start)
        return count / least


def padded(batch: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and mask. The last text is the longest."""
    ids = np.zeros((len(batch), len(batch[-1])), np.int32)
    mask = np.zeros_like(ids)
    for place, tokens in enumerate(batch):
        ids[place, : len(tokens)] = tokens
        mask[place, : len(tokens)] = 1
    return ids, mask


def trials(tokens: list[list[int]], calls: int) -> Iterator[tuple[int, list[list[list[int]]]]]:
    """For each size the batches to time it on, spread evenly over the texts, which are sorted by length."""
    mean = sum(map(len, tokens)) / len(tokens)
    for size in SIZES:
        every = [tokens[start : start + size] for start in range(0, len(tokens) - size + 1, size)]
        if len(every) < calls:
            return
        wanted = max(calls, round(TRIAL_TOKENS / (size * mean)))
        wanted = min(len(every), -(-wanted // calls) * calls)
        yield size, [every[(2 * place + 1) * len(every) // (2 * wanted)] for place in range(wanted)]
