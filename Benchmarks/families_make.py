#!/usr/bin/env python3
"""Makes the models of families.py in .build/families, and their exports for the peers beside them.

    .build/families-venv/bin/python Benchmarks/families_make.py [NAME...]

families.py runs it when a model is missing or was made by other code. It is a process of its own, so that what
exporting leaves in memory does not stay while rates are measured.
"""

import logging
import os
import shutil
import sys
import time
import warnings
from pathlib import Path

from families_models import FAMILIES, Family

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / ".build" / "families"
# What the files depend on.
CODE = ["families_export.py", "families_folder.py", "families_words.py", "onnx_graph.py", "onnx_peer.py"]
SOURCES = [*CODE, "families-requirements.txt"]


def folder(family: Family) -> Path:
    return MODELS / family.name


def peers(family: Family) -> Path:
    """Beside the model's folder, which holds what a user's would."""
    return MODELS / f"{family.name}-peers"


def wanted_stamp(family: Family) -> str:
    return "\n".join([repr(family), *((HERE / name).read_text() for name in SOURCES)])


def is_made(family: Family) -> bool:
    stamp = peers(family) / "made.txt"
    return stamp.exists() and stamp.read_text() == wanted_stamp(family)


def make(family: Family) -> None:
    import families_export
    import families_folder

    start = time.perf_counter()
    shutil.rmtree(peers(family), ignore_errors=True)
    families_folder.make(family, folder(family))
    families_export.export(family, folder(family), peers(family))
    (peers(family) / "made.txt").write_text(wanted_stamp(family))
    print(f"made {folder(family).relative_to(HERE.parent)} in {time.perf_counter() - start:.0f} s", flush=True)


def main(names: list[str]) -> None:
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    # Exporters tell at length what they do.
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    for name in names or FAMILIES:
        if not is_made(FAMILIES[name]):
            make(FAMILIES[name])


if __name__ == "__main__":
    main(sys.argv[1:])
