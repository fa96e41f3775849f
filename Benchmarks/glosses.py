"""Deterministic samples of WordNet's glosses: short English definitions, 18 tokens on average, or paragraphs of them."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path("/usr/share/wordnet")
PARTS = ("adj", "adv", "noun", "verb")


def ensure_installed() -> None:
    """Installs Debian's wordnet-base when it is missing, or exits and prints the command that installs it."""
    if all((FOLDER / f"data.{part}").exists() for part in PARTS):
        return
    command = ["apt-get", "install", "-y", "wordnet-base"]
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            sys.exit("WordNet is missing; as root: " + " ".join(command))
        command = ["sudo", "-n", *command]
    print("installing wordnet-base", file=sys.stderr)
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode != 0:
        sys.exit("WordNet is missing and could not be installed; as root: " + " ".join(command))


def all_of_them() -> list[str]:
    """The gloss of every entry, 117,659 of them, in the order of the files."""
    ensure_installed()
    glosses = []
    for part in PARTS:
        with open(FOLDER / f"data.{part}", encoding="utf-8") as lines:
            for line in lines:
                # The licence at the top of each file is indented by two spaces; a record never is.
                if line.startswith("  "):
                    continue
                _, bar, gloss = line.partition(" | ")
                if bar and gloss.strip():
                    glosses.append(gloss.strip())
    return glosses


def sample(count: int, seed: int = 2048) -> list[str]:
    """`count` distinct glosses, the same ones on every machine."""
    # The set is sorted because its order changes from one Python process to the next.
    return random.Random(seed).sample(sorted(set(all_of_them())), count)


def paragraphs(count: int, seed: int = 512, least: int = 4, most: int = 14) -> list[str]:
    """`count` distinct texts of `least` to `most` glosses each, the same ones on every machine."""
    chooser = random.Random(seed)
    every = sorted(set(all_of_them()))
    made: dict[str, None] = {}
    while len(made) < count:
        made[" ".join(chooser.sample(every, chooser.randint(least, most)))] = None
    return list(made)
