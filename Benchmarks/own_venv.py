"""Lets a benchmark run in a Python environment of its own, with the pinned versions of the peers it is compared with."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / ".build"


def enter(name: str, requirements: str) -> None:
    """Restarts the running script in .build/`name`, unless it runs there already.

    The environment has what `requirements`, a file beside this one, lists. Only making it needs a network; it is made
    again when the file has changed.
    """
    venv = BUILD / name
    if Path(sys.prefix).resolve() == venv.resolve():
        return
    listed = HERE / requirements
    wanted = listed.read_text()
    stamp = venv / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making {venv.relative_to(BUILD.parent)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin" / "pip"), "install", "--quiet", "--requirement", str(listed)], check=True)
        stamp.write_text(wanted)
    python = str(venv / "bin" / "python")
    os.execv(python, [python, *sys.argv])
