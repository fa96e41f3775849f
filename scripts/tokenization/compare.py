"""Compares the ids and the places of many texts with those of the `tokenizers` library, for any tokenizers.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    swift build -c release --product text-bench
    python scripts/tokenization/compare.py FOLDER...          folders with a tokenizer.json, or with folders of them
    python scripts/tokenization/compare.py --kinds 30000 /tmp/kinds       trains all kinds with so many entries first
    python scripts/tokenization/compare.py --pipelines 200 /tmp/pipelines  makes random combinations of steps first

Exits with 1 when there is a difference.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import kinds
import pipelines
import texts
from tokenizers import Tokenizer

LENGTHS = [7, 16, 64]


class Question:
    """What is asked of both sides: `parts` is a line for `text-bench ids`, whose answer `expected` computes."""

    def __init__(self, parts: list):
        self.parts = parts

    def expected(self, tokenizer: Tokenizer, length: int | None) -> list[int] | None:
        """The answer of the reference; None where it panics."""
        try:
            if length is None:
                return kinds.numbers_of(self.parts[0], tokenizer.encode(self.parts[0], add_special_tokens=False))[1:]
            encoding = tokenizer.encode(*self.parts[:-1])
            return encoding.ids + (encoding.type_ids if len(self.parts) == 3 else [])
        except BaseException as error:  # a panic of Rust is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            return None


def answers(binary: str, folder: Path, questions: list[Question]) -> list[list[int]]:
    lines = "".join(json.dumps(question.parts) + "\n" for question in questions)
    done = subprocess.run([binary, "ids", folder], input=lines, capture_output=True, text=True)
    if done.returncode:
        raise ValueError((done.stdout.splitlines() or ["nothing"])[-1] + done.stderr[-300:])
    return [json.loads(line) for line in done.stdout.splitlines()]


class Tally:
    def __init__(self):
        self.texts = self.differences = self.other_ids = self.panics = 0


def compare(binary: str, folder: Path, samples: list[str], pairs: list[tuple[str, str]], shown: int) -> Tally:
    tally = Tally()
    file = (folder / "tokenizer.json").read_text(encoding="utf-8")

    def check(tokenizer: Tokenizer, folder: Path, questions: list[Question], length: int | None, name: str):
        nonlocal shown
        for question, found in zip(questions, answers(binary, folder, questions), strict=True):
            wanted = question.expected(tokenizer, length)
            tally.texts += 1
            if wanted is None:
                tally.panics += 1
                continue
            if length is not None:
                found = found[1:]
            if found != wanted:
                tally.differences += 1
                tally.other_ids += length is not None or found[::3] != wanted[::3]
                if shown > 0:
                    shown -= 1
                    at = next((i for i, pair in enumerate(zip(found, wanted)) if pair[0] != pair[1]), min(len(found), len(wanted)))
                    start = max(0, at // 3 * 3 - 6)
                    print(f"  {name} {ascii(question.parts)[:300]}\n    at {at}: reference {wanted[start:start + 24]}\n"
                          f"    {' ' * len(str(at))}       ours {found[start:start + 24]}")

    tokenizer = Tokenizer.from_str(file)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    check(tokenizer, folder, [Question([text]) for text in samples], None, "text")
    for direction in ["right", "left"]:
        with tempfile.TemporaryDirectory() as copy:
            tokenizer.enable_truncation(64, direction=direction)
            tokenizer.save(f"{copy}/tokenizer.json")
            for length in LENGTHS:
                for texts_of_one in [1, 2]:
                    size = max(length, tokenizer.num_special_tokens_to_add(texts_of_one == 2))
                    tokenizer.enable_truncation(size, strategy="longest_first", direction=direction)
                    asked = [Question([*pair[:texts_of_one], size]) for pair in pairs]
                    check(tokenizer, Path(copy), asked, size, f"{direction} {size}")
            tokenizer.no_truncation()
    return tally


def folders(paths: list[Path]) -> list[Path]:
    found = []
    for path in paths:
        found += [path] if (path / "tokenizer.json").exists() else sorted(file.parent for file in path.glob("*/tokenizer.json"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--binary", default=texts.ROOT / ".build/release/text-bench")
    parser.add_argument("--kinds", type=int, metavar="ENTRIES")
    parser.add_argument("--characters", type=int, default=6_000_000, help="the size of the text that --kinds trains on")
    parser.add_argument("--pipelines", type=int, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--random", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--shown", type=int, default=2, help="how many differences of a tokenizer are shown")
    asked = parser.parse_args()
    if asked.kinds:
        rows = texts.corpus(asked.characters)
        kinds.corpus = lambda: rows
        for name, tokenizer in (kinds.kinds(asked.kinds)[0] | pipelines.larger(asked.kinds)).items():
            folder = asked.paths[0] / name
            folder.mkdir(parents=True, exist_ok=True)
            tokenizer.save(str(folder / "tokenizer.json"))
    if asked.pipelines:
        shutil.rmtree(asked.paths[0], ignore_errors=True)
        pipelines.write(asked.paths[0], asked.pipelines, asked.seed)
    samples = list(dict.fromkeys(kinds.TEXTS + texts.samples(asked.texts, 10 + asked.seed) + texts.random_strings(asked.random)))
    others = texts.samples(2 * asked.pairs, 20 + asked.seed)
    pairs = list(zip(others[::2], others[1::2], strict=True)) + [tuple(pair) for pair in kinds.PAIRS]
    total = Tally()
    refused = 0
    for folder in folders(asked.paths):
        try:
            tally = compare(str(asked.binary), folder, samples, pairs, asked.shown)
        except ValueError as error:
            print(f"{folder.name}: {error}", flush=True)
            refused += 1
            continue
        print(f"{folder.name}: {tally.differences} differences in {tally.texts} answers, {tally.other_ids} of them in ids, "
              f"the reference panics in {tally.panics}", flush=True)
        total.texts += tally.texts
        total.differences += tally.differences
        total.panics += tally.panics
    print(f"in all {total.differences} differences in {total.texts} answers; {refused} tokenizers are refused")
    return 1 if total.differences else 0


if __name__ == "__main__":
    sys.exit(main())
