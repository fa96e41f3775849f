"""Measures how the time to read a text of one unit over and over grows with the number of repetitions: twice as long a text must
take about twice as long, for any tokenizer.

    swift build -c release --product text-bench
    python scripts/tokenization/adversarial.py FOLDER...        folders with a tokenizer.json, or with folders of them

Exits with 1 when the longest text takes more than SECONDS.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNITS = {
    "letters": "a", "alternating": "ab", "spaces": " ", "words": "a ", "line feeds": "\n", "space and line feed": " \n", "marks": "\u0301",
    "marks of two classes": "\u0301\u0327", "letters with marks": "e\u0301", "ideographs": "日", "digits": "1", "punctuation": "!",
    "apostrophes": "'", "contractions": "'s", "capitals": "A", "camels": "aB", "token": "<s>", "mask": "[MASK]", "parts of tokens": "<",
    "joiners": "👩\u200d", "jamo": "\u1100\u1161", "unknown": "\U000e0041", "replacement": "\ufffd", "thin spaces": "\u2009",
    "metaspace": "▁", "null": "\x00",
}


def seconds(binary: str, folder: Path, text: str) -> float:
    done = subprocess.run([binary, "rate", folder, "1"], input=json.dumps(text) + "\n", capture_output=True, text=True, check=True)
    return float(done.stdout.split()[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--binary", default=str(ROOT / ".build/release/text-bench"))
    parser.add_argument("--characters", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=2)
    asked = parser.parse_args()
    folders = []
    for path in asked.paths:
        folders += [path] if (path / "tokenizer.json").exists() else sorted(file.parent for file in path.glob("*/tokenizer.json"))
    failed = False
    for folder in folders:
        times = {}
        for name, unit in UNITS.items():
            times[name] = seconds(asked.binary, folder, "x" + unit * (asked.characters // len(unit)))
        name, most = max(times.items(), key=lambda item: item[1])
        print(f"{folder.name}: {most:.2f} s for {name}, {sorted(times.values())[len(times) // 2]:.2f} s in the median", flush=True)
        for name, time in times.items():
            if time > asked.seconds:
                failed = True
                half = seconds(asked.binary, folder, "x" + UNITS[name] * (asked.characters // len(UNITS[name]) // 2))
                print(f"  {name}: {time:.2f} s, and {half:.2f} s for half as many")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
