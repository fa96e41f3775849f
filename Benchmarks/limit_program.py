"""Builds the programs that measure what oneDNN can do."""

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


def built(source: str, program: str) -> Path:
    """The program in .build, built when it is missing or older than its sources; needs a C++ compiler and libdnnl-dev."""
    made = HERE.parent / ".build" / program
    changed = max((HERE / each).stat().st_mtime for each in (source, "limit_rate.hpp"))
    if not made.exists() or made.stat().st_mtime < changed:
        made.parent.mkdir(exist_ok=True)
        command = ["c++", "-std=c++17", "-O2", "-fopenmp", str(HERE / source), "-o", str(made), "-ldnnl"]
        subprocess.run(command, check=True)
    return made
