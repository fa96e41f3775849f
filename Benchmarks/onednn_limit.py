"""The limit that embed.py and families.py compare rates with: what oneDNN multiplies per second on the same threads."""

import subprocess
from pathlib import Path
from typing import Protocol

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "onednn_limit.cpp"
PROGRAM = HERE.parent / ".build" / "onednn-limit"

# Rows of one product: the tokens of a batch.
ROWS = 512


class Sizes(Protocol):
    """A model's widths: of the hidden state, and between the two products behind attention."""

    @property
    def hidden(self) -> int: ...

    @property
    def inner(self) -> int: ...


class Limit:
    """Builds onednn_limit.cpp when it is missing or older than its source; needs a C++ compiler and libdnnl-dev."""

    def __init__(self, sizes: Sizes, threads: int) -> None:
        self.shape = (ROWS, sizes.hidden, sizes.inner)
        self.threads = threads
        if not PROGRAM.exists() or PROGRAM.stat().st_mtime < SOURCE.stat().st_mtime:
            PROGRAM.parent.mkdir(exist_ok=True)
            command = ["c++", "-std=c++17", "-O2", "-fopenmp", str(SOURCE), "-o", str(PROGRAM), "-ldnnl"]
            subprocess.run(command, check=True)

    def measure(self, seconds: float = 0.3) -> dict[str, float]:
        """GFLOP/s by precision; one that oneDNN has no fast code for on this processor is left out."""
        command = [str(PROGRAM), *map(str, self.shape), str(self.threads), str(seconds)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        pairs = [line.split() for line in printed.splitlines()]
        return {precision: float(rate) for precision, rate in pairs if rate != "unsupported"}
