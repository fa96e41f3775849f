"""Nearfar as a side of families.py: a server that is given texts over HTTP."""

import json
import time
from pathlib import Path

import nearfar_side
import numpy as np
from kept_connection import drive, post
from nearfar_side import NearfarSide

CONNECTIONS = 8
# Tokens of a request: as many as divide the texts of a turn among the connections, within these bounds. A client with
# many short texts would not send them one by one, whatever the model.
LEAST_TOKENS = 256
MOST_TOKENS = 2_048


class ServedSide:
    """A running `nearfar serve`. Raises `Refused` when it does not start. `seconds` is the length of a turn."""

    def __init__(self, binary: Path, model: Path, precision: str, threads: int, seconds: float) -> None:
        self.title = f"Nearfar {precision}"
        self.threads = threads
        self.seconds = seconds
        self.server = NearfarSide(binary, model, precision, threads)
        self.texts: list[str] = []
        self.requests: list[bytes] = []
        self.sent = 0

    def prepare(self, texts: list[str], ids: list[list[int]]) -> str:
        """Takes the texts of the next turns, and finds how many of them a turn has time for."""
        self.texts = texts
        length = len(ids[0])
        self._check_tokens(length)
        count = 2 * self.threads
        while True:
            took = self._timed(nearfar_side.requests(texts[:count], self._size(count, length)))
            if took > self.seconds / 4 or count == len(texts):
                break
            count = min(len(texts), 4 * count)
        count = min(len(texts), max(self.threads, round(count / took * self.seconds)))
        size = self._size(count, length)
        # As many requests for each thread, so that none waits for the other at the end of a turn.
        number = max(1, round(count / size / self.threads)) * self.threads
        self.sent = min(number * size, len(texts) // (size * self.threads) * size * self.threads)
        self.requests = nearfar_side.requests(texts[: self.sent], size)
        return f"{len(self.requests)} requests of {size} texts, {min(CONNECTIONS, len(self.requests))} at once"

    def _size(self, count: int, length: int) -> int:
        """Texts of a request, when `count` texts are sent. Each thread gets one request at least."""
        least, most = (max(1, tokens // length) for tokens in (LEAST_TOKENS, MOST_TOKENS))
        return max(1, min(most, max(least, count // CONNECTIONS), count // self.threads))

    def _check_tokens(self, length: int) -> None:
        """That the server's own tokenizer makes as many tokens of the texts."""
        body = json.dumps({"input": self.texts[:2], "encoding_format": "base64"}).encode()
        usage = json.loads(self.server.connections(1)[0].exchange(post("/v1/embeddings", body)))["usage"]
        if usage["prompt_tokens"] != 2 * length:
            raise SystemExit(f"{self.title}: {usage['prompt_tokens']} tokens in two texts of {length}")

    def _timed(self, requests: list[bytes]) -> float:
        connections = self.server.connections(CONNECTIONS)
        start = time.perf_counter()
        drive(connections, requests)
        return time.perf_counter() - start

    def vectors(self, count: int) -> np.ndarray:
        """Of the first texts."""
        answers, _ = drive(self.server.connections(CONNECTIONS), nearfar_side.requests(self.texts[:count], 1))
        return nearfar_side.vectors(answers)

    def turn(self) -> float:
        """Texts a second."""
        return self.sent / self._timed(self.requests)

    def close(self) -> None:
        self.server.stop()
