#!/usr/bin/env python3
"""Compares `nearfar train` with sentence-transformers: fine-tuning all-MiniLM-L6-v2 on WordNet's lemmas and glosses.

    Benchmarks/train.py [--binary .build/release/nearfar] [--only rate,large,quality] [--quality-steps 60]
    Benchmarks/train.py --only static

A query is the first lemma of a synset, its positive the gloss; 2,000 synsets are held out. Each side reads the same batches
in the same order, with the same settings: InfoNCE over all glosses of the batch, τ = 0.05, AdamW, f32, dropout as in the
model's configuration. Every training is a process of its own, and the sides take turns.

rate      pairs/s, tokens/s and the peak of memory, beside MultipleNegativesRankingLoss and its cached form, and the share of
          what the products alone would take by oneDNN. The first two steps do not count.
large     Two steps with batches of 4,096 pairs, by Nearfar alone: memory.
quality   Recall on the held-out glosses before training, and after as many steps by each side.
static    A table of vectors from the same model as teacher: the time of its training, its recall, and the texts/s of both
          in the service.

The first run installs the peer, about 1.5 GB, into .build/train-venv. Exits with 1 when a threshold is missed.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from pathlib import Path

import own_venv
import processor
import train_data
import train_limit
from options import some_of
from train_report import JUDGED, MIB, Large, Quality, Rate, Report
from train_sides import NEARFAR, PEERS, Settings, Sides, Training

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PARTS = ("rate", "large", "quality", "static")
SIDES = (NEARFAR, *PEERS)
# Steps at the start of a training in which memory is touched for the first time.
SKIPPED = 2
LARGE = 4_096


def at_least(least: int):
    def parse(word: str) -> int:
        if not word.isdecimal() or int(word) < least:
            raise argparse.ArgumentTypeError(f"must be a number of at least {least}")
        return int(word)

    return parse


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / ".build" / "release" / "nearfar")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--only", type=some_of(PARTS), default=list(PARTS[:3]), metavar="PARTS", help=",".join(PARTS))
    parser.add_argument("--sides", type=some_of(SIDES), default=list(SIDES), metavar="SIDES", help="of the rate")
    parser.add_argument("--rounds", type=at_least(1), default=2)
    parser.add_argument("--steps", type=at_least(SKIPPED + 1), default=6, help="of each training of the rate")
    parser.add_argument("--quality-steps", type=at_least(1), default=60)
    parser.add_argument("--batch", type=at_least(2), default=256)
    parser.add_argument("--threads", type=at_least(1), default=2, help="compute threads of each side")
    parser.add_argument("--chunk-tokens", type=at_least(1), help="of nearfar train; its default unless given")
    return parser.parse_args()


def note(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


class Run:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.work = ROOT / ".build" / "train"
        self.sides = Sides(options.binary.resolve(), self.work)
        self.settings = Settings(options.model.resolve(), options.threads, options.batch)
        self.report = Report()
        self.pairs, held = train_data.divided()
        self.held = train_data.write(held, self.work / "held.jsonl")

    def train(self, side: str, file: Path, settings: Settings) -> Training:
        chunks = self.options.chunk_tokens
        more = ("--chunk-tokens", str(chunks)) if chunks and side == NEARFAR else ()
        return self.sides.train(side, file, settings, more)

    def batches(self, name: str, size: int, count: int) -> tuple[list, Path]:
        """The first batches, and the file that has their pairs one after another."""
        made = train_data.batches(self.pairs, size, count)
        return made, train_data.write((pair for batch in made for pair in batch), self.work / f"{name}.jsonl")

    def tokens(self, batches: list) -> list[int]:
        """Tokens of each batch."""
        longest = json.loads((self.settings.model / "sentence_bert_config.json").read_text())["max_seq_length"]
        return [train_data.tokens(batch, self.settings.model, longest) for batch in batches]

    def rate(self) -> None:
        options = self.options
        batches, file = self.batches("rate", options.batch, options.steps)
        counted = self.tokens(batches)
        found: dict[str, list[Training]] = {side: [] for side in options.sides}
        limits = []
        for number in range(options.rounds):
            limits.append(train_limit.measure(self.settings.model, options.threads))
            for side in found:
                note(f"rate, round {number + 1} of {options.rounds}: {side}, {options.steps} steps")
                training = self.train(side, file, self.settings)
                # Who has counted the same tokens has had the same batches.
                if side == NEARFAR and training.tokens != counted:
                    raise SystemExit(f"the batches have {counted} tokens, and nearfar says {training.tokens}")
                found[side].append(training)
        # The rates of one measurement belong together, so that this is one of them.
        middle = sorted(limits, key=lambda each: each.tokens_per_second)[len(limits) // 2]
        for side, trainings in found.items():
            seconds = statistics.median(each.process.per_step(SKIPPED) for each in trainings)
            peak = max(each.process.peak for each in trainings)
            tokens = statistics.mean(counted[SKIPPED:]) / seconds
            self.report.rates.append(Rate(side, options.batch / seconds, tokens, peak / MIB, trainings[-1].losses))
        self.report.tokens_limit, self.report.products = middle.tokens_per_second, middle.rates

    def large(self) -> None:
        batches, file = self.batches("large", LARGE, 2)
        note(f"large: two steps with {LARGE:,} pairs")
        settings = dataclasses.replace(self.settings, batch=LARGE)
        training = self.train(NEARFAR, file, settings)
        seconds = training.process.per_step(1)
        tokens = self.tokens(batches)[-1]
        self.report.large = Large(LARGE, LARGE / seconds, tokens / seconds, training.process.peak / MIB)

    def quality(self) -> None:
        count = self.options.quality_steps
        _, file = self.batches("quality", self.options.batch, count)
        settings = dataclasses.replace(self.settings, warmup=count // 10)
        trained = {}
        for side in (NEARFAR, JUDGED):
            note(f"quality: {side}, {count} steps")
            trained[side] = self.train(side, file, settings)
        note("quality: recall of all models")
        folders = [self.settings.model, *(each.folder for each in trained.values())]
        recalls = self.sides.recalls(folders, self.held, self.options.threads)
        for name, values in zip(("before", *trained), recalls):
            losses = trained[name].losses if name in trained else []
            self.report.qualities.append(Quality(name, count if name in trained else 0, values, losses))

    def static(self) -> None:
        # Needs numpy, which only the environment of the peer may have.
        import train_static

        self.report.static = train_static.measure(self.sides, self.settings, self.pairs, self.held)

    def run(self) -> bool:
        for part in self.options.only:
            getattr(self, part)()
        return self.report.print_all()


def main() -> int:
    options = arguments()
    own_venv.enter("train-venv", "train-requirements.txt")
    print(f"{processor.name()}; {options.threads} threads for each side", flush=True)
    return 0 if Run(options).run() else 1


if __name__ == "__main__":
    sys.exit(main())
