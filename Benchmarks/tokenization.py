#!/usr/bin/env python3
"""How fast one core turns text into token ids, for tokenizers of every kind, compared with the `tokenizers` library with one thread.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    swift build -c release --product text-bench
    Benchmarks/tokenization.py [--entries 30000]

Each tokenizer is trained on the texts that are read: definitions of nouns in WordNet (ASCII) and the system's translations in all
languages (mixed). Both sides read the same texts in turns, and the fastest of three readings by each counts: of the library the time
of encode_batch, of this project the processor time of one thread. "Once" is the first reading, in which no word has been read before.
Exits with 1 when a kind makes fewer than a million tokens a second of ASCII or 300,000 of mixed scripts, or fewer than the library.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts/tokenization"))

import kinds  # noqa: E402
import texts  # noqa: E402
from text_table import print_table  # noqa: E402

# One for each way through the code; the first is the measure of the others.
KINDS = ["mpnet", "wordpiece", "xlm-roberta", "t5", "albert", "camembert", "ruri", "gpt2", "qwen", "llama3", "o200k", "modernbert", "clip", "gemma", "llama2"]
# Million tokens a second.
ASKED = {"ascii": 1.0, "mixed": 0.3}


def samples() -> dict[str, list[str]]:
    with open("/usr/share/wordnet/data.noun", encoding="ascii", errors="replace") as file:
        glosses = [line[line.rindex("|") + 1 :].strip() for line in file if "|" in line and line.isascii()]
    languages = [rows[:30] for rows in texts.translations().values()]
    return {"ascii": glosses[:: len(glosses) // 15_000], "mixed": [row[:300] for rows in zip(*languages, strict=False) for row in rows][:4000]}


def rate(binary: str, folder: Path, lines: str) -> tuple[int, float, float]:
    """The tokens, the seconds of the fastest reading and those of the first."""
    done = subprocess.run([binary, "rate", folder, "3"], input=lines, capture_output=True, text=True, check=True)
    tokens, best, first = done.stdout.split()
    return int(tokens), float(best), float(first)


def peer(tokenizer, rows: list[str]) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        tokenizer.encode_batch(rows)
        best = min(best, time.process_time() - start)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / ".build/release/text-bench"))
    parser.add_argument("--entries", type=int, default=30_000)
    asked = parser.parse_args()
    sets = samples()
    kinds.corpus = lambda: sets["ascii"] + sets["mixed"] * 2
    trained, _ = kinds.kinds(asked.entries)
    failed = False
    rows = []
    base: dict[str, float] = {}
    for name in KINDS:
        for kind, sample in sets.items():
            with tempfile.TemporaryDirectory() as folder:
                trained[name].save(f"{folder}/tokenizer.json")
                lines = "".join(json.dumps(text) + "\n" for text in sample)
                tokens, best, first = rate(asked.binary, Path(folder), lines)
                theirs = peer(trained[name], sample)
                again = rate(asked.binary, Path(folder), lines)
                best, first = min(best, again[1]), min(first, again[2])
            base.setdefault(kind, best)
            million = tokens / best * 1e-6
            failed = failed or million < ASKED[kind] or best > theirs
            rows.append([f"{name}, {kind}", f"{million:.2f}", f"{tokens / first * 1e-6:.2f}", f"{best / base[kind]:.2f}", f"{theirs / best:.1f}"])
    print_table(["tokenizer, texts", "million tokens/s", "once", "time / BERT's", "library's time / ours"], rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
