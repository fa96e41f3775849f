"""Progress of calls that take many requests, on standard error."""

from __future__ import annotations

import importlib
import sys
import time
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional

# A line that is printed more often than this, in seconds, only costs time.
INTERVAL = 0.5


@contextmanager
def progress_bar(wanted: bool, title: str, total: Optional[int], unit: str) -> Iterator[Callable[[int], object]]:
    """A function to call with the number of units that have been done since it was called last.

    tqdm shows them where it is installed, otherwise a plain line does; nothing does unless it is wanted.
    """
    if not wanted:
        yield lambda count: None
        return
    try:
        tqdm: Any = importlib.import_module("tqdm.auto").tqdm
    except ImportError:
        yield PlainProgress(title, total, unit).advance
        return
    with tqdm(total=total, desc=title, unit=f" {unit}") as bar:
        yield bar.update


class PlainProgress:
    """Prints how far a call has come: `embed: 2048 of 4096 texts (50 %)`."""

    def __init__(self, title: str, total: Optional[int], unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = 0
        self._printed = 0.0

    def advance(self, count: int) -> None:
        self._done += count
        finished = self._done == self._total
        now = time.monotonic()
        if not finished and now - self._printed < INTERVAL:
            return
        self._printed = now
        of = f" of {self._total}" if self._total else ""
        share = f" ({100 * self._done // self._total} %)" if self._total else ""
        # In a terminal the line is written over; in a file every line stays.
        end = "\n" if finished or not sys.stderr.isatty() else "\r"
        print(f"{self._title}: {self._done}{of} {self._unit}{share}", end=end, file=sys.stderr, flush=True)
