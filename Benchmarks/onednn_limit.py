"""The limit that embed.py and families.py compare rates with: what oneDNN multiplies per second on the same threads."""

import subprocess
from typing import Protocol

from limit_program import built

# Rows of one product: the tokens of a batch.
ROWS = 512


class Sizes(Protocol):
    """A model's widths: of the hidden state, and between the two products behind attention."""

    @property
    def hidden(self) -> int: ...

    @property
    def inner(self) -> int: ...


class Limit:
    def __init__(self, sizes: Sizes, threads: int) -> None:
        self.shape = (ROWS, sizes.hidden, sizes.inner)
        self.threads = threads
        self.program = built("onednn_limit.cpp", "onednn-limit")

    def measure(self, seconds: float = 0.3) -> dict[str, float]:
        """GFLOP/s by precision; one that oneDNN has no fast code for on this processor is left out."""
        command = [str(self.program), *map(str, self.shape), str(self.threads), str(seconds)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        pairs = [line.split() for line in printed.splitlines()]
        return {precision: float(rate) for precision, rate in pairs if rate != "unsupported"}
