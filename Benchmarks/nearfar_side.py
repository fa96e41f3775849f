"""Nearfar in one precision: a server process, the requests to it in each format, and the vectors of its answers."""

import base64
import json
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from kept_connection import KeptConnection, post
from server_process import ServerProcess

FORMATS = ("json", "base64", "safetensors")


def request(texts: list[str], form: str = "json") -> bytes:
    """A request for the vectors of `texts`. JSON goes in; `form` is what comes out."""
    if form == "base64":
        return post("/v1/embeddings", json.dumps({"input": texts, "encoding_format": "base64"}).encode())
    accept = "application/x-safetensors" if form == "safetensors" else "application/json"
    return post("/embed", json.dumps({"inputs": texts}).encode(), accept)


def requests(texts: list[str], size: int, form: str = "json") -> list[bytes]:
    return [request(texts[start : start + size], form) for start in range(0, len(texts), size)]


def vectors(answers: Iterable[bytes], form: str = "json") -> np.ndarray:
    """[n, hidden], from the bodies of answers."""
    return np.concatenate([_matrix(answer, form) for answer in answers])


def _matrix(answer: bytes, form: str) -> np.ndarray:
    if form == "json":
        return np.array(json.loads(answer), dtype="f4")
    if form == "base64":
        entries = sorted(json.loads(answer)["data"], key=lambda entry: entry["index"])
        return np.stack([np.frombuffer(base64.b64decode(entry["embedding"]), dtype="<f4") for entry in entries])
    length = int.from_bytes(answer[:8], "little")
    entry = json.loads(answer[8 : 8 + length])["embeddings"]
    start, stop = (8 + length + offset for offset in entry["data_offsets"])
    return np.frombuffer(answer[start:stop], dtype="<f4").reshape(entry["shape"])


class NearfarSide:
    """A running `nearfar serve`. Raises `Refused` when it does not start, for example because of the precision."""

    def __init__(self, binary: Path, model: Path, precision: str, threads: int) -> None:
        self.precision = precision
        self.open: list[KeptConnection] = []
        flags = ["--precision", precision, "--threads", str(threads), "--port", "0", "--data", ":memory:"]
        # Connections are kept while the peers have their turns, which may take longer than the default of 75 s.
        flags += ["--idle-timeout", "86400"]
        self.server = ServerProcess([str(binary), "serve", "--model", str(model), *flags])
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}/info", timeout=30) as answer:
            served = json.load(answer)["precision"]
        if served != precision:
            self.stop()
            raise SystemExit(f"nearfar was started with --precision {precision}, but /info says {served}")

    def connections(self, count: int) -> list[KeptConnection]:
        """The first `count` connections; those that are missing are made, and kept."""
        while len(self.open) < count:
            self.open.append(KeptConnection(self.server.port))
        return self.open[:count]

    def stop(self) -> None:
        for connection in self.open:
            connection.close()
        self.open.clear()
        self.server.stop()
