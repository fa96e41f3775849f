"""A table of vectors with a transformer as teacher: the time of its training, its recall, and its rate in the service."""

import shutil
import time
from pathlib import Path

import nearfar_side
import numpy as np
import train_data
import train_process
import train_quality
from kept_connection import drive
from nearfar_side import NearfarSide
from train_data import Pair
from train_report import MIB, Static
from train_sides import Settings, Sides

# Enough texts in a request that parsing and answering are spread over both cores, as a client with many texts sends them.
TEXTS_PER_REQUEST = 512
CONNECTIONS = 8
# Texts of a turn: the teacher is measured on fewer, since each takes so much longer.
TABLE_TEXTS = 98_304
TEACHER_TEXTS = 4_096
ROUNDS = 3


class Served:
    """A model behind `nearfar serve` in f32."""

    def __init__(self, binary: Path, model: Path, threads: int, texts: list[str]) -> None:
        self.server = NearfarSide(binary, model, "f32", threads)
        self.texts = len(texts)
        # Safetensors, because digits would cost the service more than the table does.
        self.requests = nearfar_side.requests(texts, TEXTS_PER_REQUEST, "safetensors")

    def turn(self) -> float:
        """Texts a second."""
        connections = self.server.connections(CONNECTIONS)
        start = time.perf_counter()
        drive(connections, self.requests)
        return self.texts / (time.perf_counter() - start)

    def vectors(self, texts: list[str]) -> np.ndarray:
        """Unit vectors in the order of the texts."""
        connection = self.server.connections(1)[0]
        requests = nearfar_side.requests(texts, TEXTS_PER_REQUEST, "safetensors")
        return nearfar_side.vectors([connection.exchange(request) for request in requests], "safetensors")

    def stop(self) -> None:
        self.server.stop()


def measure(sides: Sides, settings: Settings, pairs: list[Pair], held: Path, more: tuple[str, ...] = ()) -> Static:
    """Trains a table on the glosses that are not held out, and serves it beside its teacher. `more` are flags of the training."""
    file = train_data.write(pairs, sides.work / "static.jsonl")
    folder = sides.work / "static"
    shutil.rmtree(folder, ignore_errors=True)
    flags = ["--static", "--teacher", str(settings.model), "--pairs", str(file), "--output", str(folder)]
    flags += ["--seed", str(settings.seed), "--threads", str(settings.threads), *more]
    trained = train_process.run([str(sides.binary), "train", *flags], sides.work / "static.log")

    queries, positives = train_data.read(held)
    glosses = [pair.gloss for pair in pairs]
    servers: list[Served] = []
    try:
        for model, count in ((folder, TABLE_TEXTS), (settings.model, TEACHER_TEXTS)):
            servers.append(Served(sides.binary, model, settings.threads, glosses[:count]))
        # These requests also warm the servers up.
        recalls = [train_quality.recalls(each.vectors(queries), each.vectors(positives)) for each in servers]
        rates = [[each.turn() for each in servers] for _ in range(ROUNDS)]
    finally:
        for each in servers:
            each.stop()
    table, teacher = (float(np.median(column)) for column in zip(*rates))
    return Static(trained.seconds, trained.peak / MIB, *recalls, table, teacher)
