"""Shows the progress of calls with many requests on standard error."""

from __future__ import annotations

import importlib
import sys
import time
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional

# The least time between two printed lines, in seconds.
INTERVAL = 0.5


@contextmanager
def progress_bar(wanted: bool, title: str, total: Optional[int], unit: str) -> Iterator[Callable[[int], object]]:
    """Yields a function that is called with the number of units done since its last call.

    Progress is shown by tqdm where it is installed, otherwise as a line of text. When it is not wanted, nothing is shown.
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
    """Prints the progress of a call as a line such as `embed: 2048 of 4096 texts (50 %)`."""

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
        # In a terminal each line overwrites the previous one. In a file, all lines are kept.
        end = "\n" if finished or not sys.stderr.isatty() else "\r"
        print(f"{self._title}: {self._done}{of} {self._unit}{share}", end=end, file=sys.stderr, flush=True)
