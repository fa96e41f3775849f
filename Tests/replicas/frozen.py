"""A PostgreSQL server whose processes stand still: it answers nobody, as if the network to it were cut."""

import os
import signal
from pathlib import Path


def freeze(folder: Path) -> list[int]:
    """Stops the processes of the server whose data is in the folder; returns them for `thaw`."""
    first = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    # Before its children are looked up, because it makes one for each new session.
    os.kill(first, signal.SIGSTOP)
    children = [int(each) for each in Path(f"/proc/{first}/task/{first}/children").read_text().split()]
    for child in children:
        os.kill(child, signal.SIGSTOP)
    return [first, *children]


def thaw(processes: list[int]) -> None:
    for process in reversed(processes):
        os.kill(process, signal.SIGCONT)
