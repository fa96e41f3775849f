"""The two sides of train.py: how each trains on the same pairs with the same settings."""

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import train_process
from train_process import Finished, Watch

HERE = Path(__file__).resolve().parent
NEARFAR = "nearfar"
PEERS = {"mnrl": "MultipleNegativesRankingLoss", "cached": "CachedMultipleNegativesRankingLoss"}


@dataclass(frozen=True)
class Settings:
    """What all sides have in common."""

    model: Path
    threads: int
    batch: int = 256
    rate: float = 2e-5
    decay: float = 0.01
    clip: float = 1.0
    temperature: float = 0.05
    seed: int = 42
    # Steps in which the learning rate rises.
    warmup: int = 0


@dataclass(frozen=True)
class Training:
    """A training that has ended."""

    process: Finished
    losses: list[float]
    # Where the model is.
    folder: Path
    # Of each batch, where the side counts them.
    tokens: list[int] = field(default_factory=list)


def is_step(line: bytes) -> bool:
    """Whether a line of a file of metrics is that of a step; others are evaluations."""
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return isinstance(entry, dict) and "step" in entry and "evaluation" not in entry


class Sides:
    """`work` is a folder for models, logs and metrics."""

    def __init__(self, binary: Path, work: Path) -> None:
        self.binary = binary
        self.work = work

    def train(self, side: str, pairs: Path, settings: Settings, more: tuple[str, ...] = ()) -> Training:
        """Trains on the batches of a file in their order: `nearfar`, `mnrl` or `cached`. `more` are flags of nearfar."""
        name = f"{side}-{pairs.stem}"
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        if side == NEARFAR:
            return self._nearfar(folder, pairs, settings, more)
        return self._peer(side, folder, pairs, settings)

    def _nearfar(self, folder: Path, pairs: Path, settings: Settings, more: tuple[str, ...]) -> Training:
        flags = {
            "--model": settings.model,
            "--pairs": pairs,
            "--output": folder,
            "--objective": "infonce",
            "--temperature": settings.temperature,
            "--batch": settings.batch,
            "--epochs": 1,
            "--lr": settings.rate,
            "--schedule": "linear",
            "--warmup": settings.warmup,
            "--weight-decay": settings.decay,
            "--clip": settings.clip,
            "--seed": settings.seed,
            "--shuffle": "false",
            "--threads": settings.threads,
        }
        words = [str(word) for flag in flags.items() for word in flag]
        metrics = folder / "metrics.jsonl"
        finished = train_process.run(
            [str(self.binary), "train", *words, *more], self.work / f"{folder.name}.log", Watch(metrics, is_step)
        )
        steps = steps_of(metrics)
        return Training(finished, [step["loss"] for step in steps], folder, [step["tokens"] for step in steps])

    def _peer(self, side: str, folder: Path, pairs: Path, settings: Settings) -> Training:
        steps = self.work / f"{folder.name}.steps"
        flags = {
            "--loss": side,
            "--model": settings.model,
            "--pairs": pairs,
            "--output": folder,
            "--steps-file": steps,
            "--batch": settings.batch,
            # The default of the loss.
            "--mini-batch": 32,
            "--rate": settings.rate,
            "--decay": settings.decay,
            "--clip": settings.clip,
            "--warmup": settings.warmup,
            "--temperature": settings.temperature,
            "--seed": settings.seed,
            "--threads": settings.threads,
        }
        words = [str(word) for flag in flags.items() for word in flag]
        finished = train_process.run(
            [sys.executable, str(HERE / "train_peer.py"), "train", *words],
            self.work / f"{folder.name}.log",
            Watch(steps, is_step),
            {"OMP_NUM_THREADS": str(settings.threads)},
        )
        return Training(finished, last_object(finished.output)["losses"], folder)

    def recalls(self, models: list[Path], pairs: Path, threads: int) -> list[dict[str, float]]:
        """Recall@1 and @10 of folders, by sentence-transformers, which thereby shows that it reads them."""
        command = [sys.executable, str(HERE / "train_peer.py"), "recall", *map(str, models)]
        command += ["--pairs", str(pairs), "--threads", str(threads)]
        output = train_process.run(command, self.work / "recall.log").output
        return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def steps_of(metrics: Path) -> list[dict]:
    return [json.loads(line) for line in metrics.read_bytes().splitlines() if is_step(line)]


def last_object(output: str) -> dict:
    """What a side prints on its last line; libraries may print before."""
    return json.loads([line for line in output.splitlines() if line.startswith("{")][-1])
