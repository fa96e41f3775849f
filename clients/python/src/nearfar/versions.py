"""Remembers which versions of collections and queues a client has seen, so that replicas look like one service.

Every answer about a collection or queue has a token, NAME:EPOCH:VERSION, and a request with that token is answered from no older
version. The epoch grows when a collection is deleted and made anew under its name.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from threading import Lock
from typing import Iterator, Sequence, Tuple

SEEN = "X-Nearfar-Version"
WANTED = "X-Nearfar-Min-Version"

# Nobody works with more collections than this at a time. The bound is for programs that make and delete them for good.
MOST = 10_000

_TOKEN = re.compile(r"[ \t]*([^:,]+):([0-9]{1,19}):([0-9]{1,19})[ \t]*", re.ASCII)


class Versions:
    """The newest token of each name. Threads may share it.

    A queue has the name `queues/NAME`, as in its tokens.
    """

    def __init__(self) -> None:
        self._newest: "OrderedDict[str, Tuple[int, int]]" = OrderedDict()
        self._lock = Lock()

    def note(self, tokens: str) -> None:
        """Takes the tokens of an answer. An answer to an earlier request may come later, so only newer ones replace others."""
        for name, place in _read(tokens):
            with self._lock:
                self._newest[name] = max(place, self._newest.pop(name, place))
                if len(self._newest) > MOST:
                    self._newest.popitem(last=False)

    def wanted(self, names: Sequence[str]) -> str:
        """Returns the tokens for a request about these names; empty when none of them has been seen."""
        with self._lock:
            known = [(name, self._newest[name]) for name in names if name in self._newest]
        return ", ".join(f"{name}:{epoch}:{version}" for name, (epoch, version) in known)

    def forget(self, tokens: str) -> None:
        """Forgets what is no newer than these tokens."""
        for name, place in _read(tokens):
            with self._lock:
                if self._newest.get(name, place) <= place:
                    self._newest.pop(name, None)

    def clear(self) -> None:
        with self._lock:
            self._newest.clear()


def _read(tokens: str) -> Iterator[Tuple[str, Tuple[int, int]]]:
    """Yields the names and places in a list of tokens. What is not a token is passed over: a later service may add to them."""
    for part in tokens.split(","):
        token = _TOKEN.fullmatch(part)
        if token:
            yield token[1], (int(token[2]), int(token[3]))
