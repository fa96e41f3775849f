"""A process of one side of train.py: run to its end, with the times of its steps and the most memory that it used."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Finished:
    """What a process that ended well has left behind."""

    output: str
    # The largest resident memory, in bytes, as the kernel counts it (VmHWM).
    peak: int
    seconds: float
    # When each step ended, in seconds, where the process was watched.
    ends: list[float] = field(default_factory=list)

    def per_step(self, skipped: int) -> float:
        """Seconds of a step; the first `skipped` steps, in which memory is touched for the first time, do not count."""
        if len(self.ends) <= skipped or skipped < 1:
            raise SystemExit(f"{len(self.ends)} steps are too few to leave the first {skipped} out")
        return (self.ends[-1] - self.ends[skipped - 1]) / (len(self.ends) - skipped)


class Watch:
    """Notes when lines appear in a file that the process writes: each line that `counts` is the end of a step.

    The clock is this process's own, so that neither side reports its own speed.
    """

    INTERVAL = 0.01

    def __init__(self, path: Path, counts: Callable[[bytes], bool]) -> None:
        self.path = path
        self.counts = counts
        self.ends: list[float] = []
        self.seen = 0
        self.partial = b""
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self.thread.start()

    def stop(self) -> list[float]:
        self.stopped.set()
        self.thread.join()
        self._look()
        return self.ends

    def _run(self) -> None:
        while not self.stopped.wait(self.INTERVAL):
            self._look()

    def _look(self) -> None:
        try:
            if self.path.stat().st_size <= self.seen:
                return
            with open(self.path, "rb") as file:
                file.seek(self.seen)
                new = file.read()
        except FileNotFoundError:
            return
        now = time.perf_counter()
        self.seen += len(new)
        *lines, self.partial = (self.partial + new).split(b"\n")
        self.ends += [now for line in lines if self.counts(line)]


def run(command: list[str], log: Path, watch: Watch | None = None, environment: dict[str, str] | None = None) -> Finished:
    """Runs a command; ends the benchmark, with the last lines that it wrote, when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with open(log, "wb") as errors:
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **(environment or {})}
        )
        if watch:
            watch.start()
        try:
            output = child.stdout.read().decode(errors="replace")
            # Instead of `wait`, because this returns the memory of this child alone.
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            child.wait()
            raise
        child.returncode = os.waitstatus_to_exitcode(status)
        ends = watch.stop() if watch else []
    seconds = time.perf_counter() - start
    if child.returncode != 0:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
        print(f"{' '.join(command)}\nended with {child.returncode}:\n{last}", file=sys.stderr)
        raise SystemExit(2)
    return Finished(output, usage.ru_maxrss * 1024, seconds, ends)
