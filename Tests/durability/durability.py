"""Tests durability: SIGKILL while four writers write, damaged files, a full disk, a read-only folder, a backup under writes.

usage: durability.py NEARFAR [--rounds N] [--damage-rounds N] [--seed N]"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from crash import crash_rounds
from damage_rounds import damage_rounds
from disk import full_disk, no_room_for_rows, read_only
from graph_disk import graph_in_a_read_only_folder, graph_on_a_full_disk
from processes import backup, second_process


class Count:
    def __init__(self) -> None:
        self.passed = self.failed = 0

    def add(self, name: str, problems: list[str]) -> None:
        self.passed += not problems
        self.failed += bool(problems)
        print(f"{'ok' if not problems else 'FAILED'}: {name}" + "".join(f"\n  {text}" for text in problems), flush=True)

    def run(self, name: str, test) -> None:
        """Runs `test`, which returns a list of what is wrong."""
        try:
            self.add(name, test())
        except Exception as error:
            self.add(name, [f"{type(error).__name__}: {error}"])

    def run_rounds(self, name: str, rounds) -> None:
        """Runs the generator `rounds`, which yields for each round its name and a list of what is wrong."""
        try:
            for each, problems in rounds:
                self.add(each, problems)
        except Exception as error:
            self.add(name, [f"{type(error).__name__}: {error}"])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--damage-rounds", type=int, default=24)
    parser.add_argument("--seed", type=int, default=20)
    options = parser.parse_args()
    binary = str(Path(options.binary).resolve())
    top = tempfile.mkdtemp(prefix="nearfar-durability-")
    os.chmod(top, 0o755)
    count = Count()
    try:
        count.run_rounds("kill -9", crash_rounds(binary, f"{top}/crash", options.rounds, options.seed))
        os.mkdir(f"{top}/images")
        count.run_rounds("damage", damage_rounds(binary, f"{top}/images", options.damage_rounds, options.seed))
        count.run("full disk", lambda: full_disk(binary, f"{top}/full"))
        count.run("full disk, --low-memory", lambda: full_disk(binary, f"{top}/full-low", low_memory=True))
        count.run("no room for rows, --low-memory", lambda: no_room_for_rows(binary, f"{top}/rows"))
        count.run("full disk, and a graph to save", lambda: graph_on_a_full_disk(binary, f"{top}/full-graph"))
        count.run("read-only folder", lambda: read_only(binary, f"{top}/read-only"))
        count.run(
            "read-only folder, and a graph to save",
            lambda: graph_in_a_read_only_folder(binary, f"{top}/read-only-graph"),
        )
        count.run("a second process", lambda: second_process(binary, f"{top}/second"))
        count.run("backup while it is written", lambda: backup(binary, f"{top}/backed-up", f"{top}/copy"))
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(f"{count.passed} passed, {count.failed} failed")
    return 0 if count.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
