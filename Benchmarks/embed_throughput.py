"""The throughput part of embed.py: all sides, and oneDNN's product, take turns on a set of texts."""

import statistics
import time
from dataclasses import dataclass

import processor
from bert_folder import BertFolder
from embed_quality import Judge, Quality
from embed_sides import PRECISIONS, ServedSide, Side
from onednn_limit import Limit
from text_table import print_table

# OpenMP's and ONNX Runtime's threads spin for up to 0.2 s after their work, and would take a core from the next side.
PAUSE = 0.3


@dataclass(frozen=True)
class Row:
    """What one side did on one set."""

    title: str
    precision: str
    # "json", "base64" or "safetensors" for Nearfar, "" for a peer.
    form: str
    texts_per_second: float
    tokens_per_second: float
    # Of the rate of oneDNN's product in the same precision; None where oneDNN has none on this processor.
    share: float | None
    quality: Quality


@dataclass(frozen=True)
class SetResult:
    name: str
    rows: list[Row]

    def ours(self, precision: str, form: str) -> Row | None:
        return next((row for row in self.rows if row.precision == precision and row.form == form), None)

    def theirs(self, precision: str) -> list[Row]:
        return [row for row in self.rows if row.precision == precision and not row.form]


class Throughput:
    """Measures sets, and prints rounds, a table and ratios of each.

    The vectors of all are compared with those of the first side. `missing` has what there is no side for, and why.
    """

    def __init__(self, sides: list[Side], folder: BertFolder, limit: Limit, missing: dict[str, str]) -> None:
        self.sides = sides
        self.folder = folder
        self.limit = limit
        self.missing = missing

    def measure(self, name: str, texts: list[str], rounds: int) -> SetResult:
        # Nearfar encodes equal texts of a batch only once, so they would count as work that was not done.
        assert len(set(texts)) == len(texts)
        tokens = sum(len(encoding.ids) for encoding in self.folder.tokenizer().encode_batch_fast(texts))
        print(f"==> {name}: {len(texts):,} texts, {tokens / len(texts):.1f} tokens on average", flush=True)
        for side in self.sides:
            print(f"{side.title}: {side.prepare(texts)}", flush=True)

        quality = self._warm_up(with_recall=name == "glosses")
        seconds: dict[str, list[float]] = {side.title: [] for side in self.sides}
        limits: list[dict[str, float]] = []
        for number in range(1, rounds + 1):
            time.sleep(PAUSE)
            limits.append(self.limit.measure())
            for side in self.sides:
                seconds[side.title].append(timed_turn(side)[1])
            rates = ", ".join(f"{title} {len(texts) / times[-1]:.0f}" for title, times in seconds.items())
            print(f"round {number}, texts/s: {rates}", flush=True)

        limit = {
            precision: statistics.median(found[precision] for found in limits)
            for precision in PRECISIONS
            if precision in limits[0]
        }
        rows = []
        for side in self.sides:
            middle = statistics.median(seconds[side.title])
            rate = limit.get(multiplied_in(side))
            share = tokens / middle * self.folder.flop_per_token / 1e9 / rate if rate else None
            form = side.form if isinstance(side, ServedSide) else ""
            rates = (len(texts) / middle, tokens / middle)
            rows.append(Row(side.title, side.precision, form, *rates, share, quality[side.title]))
        result = SetResult(name, rows)
        self._report(result, limit)
        return result

    def _warm_up(self, with_recall: bool) -> dict[str, Quality]:
        """One turn of each side that is not timed, whose vectors are compared."""
        quality: dict[str, Quality] = {}
        judge: Judge | None = None
        for side in self.sides:
            vectors = side.vectors(timed_turn(side)[0])
            judge = judge or Judge(vectors, with_recall)
            quality[side.title] = judge.quality(vectors)
        return quality

    def _report(self, result: SetResult, limit: dict[str, float]) -> None:
        rows, inner, columns = self.limit.shape
        print()
        for precision in PRECISIONS:
            rate = f"{limit[precision]:.1f} GFLOP/s" if precision in limit else "unsupported on this processor"
            print(f"oneDNN {precision}, {rows} × {inner} × {columns} on {self.limit.threads} threads: {rate}")
        print()
        lines = []
        for row in result.rows:
            share = "-" if row.share is None else f"{row.share:.0%}"
            recall = "-" if row.quality.recall is None else f"{row.quality.recall:.4f}"
            rates = [f"{row.texts_per_second:,.1f}", f"{row.tokens_per_second:,.0f}", share]
            lines.append([row.title, *rates, f"{row.quality.lowest:.6f}", f"{row.quality.mean:.6f}", recall])
        print_table([result.name, "texts/s", "tokens/s", "of the limit", "lowest cosine", "mean", "recall@10"], lines)
        for title, reason in self.missing.items():
            print(f"{title}: {reason}")
        if self.missing:
            print()
        for precision in PRECISIONS:
            theirs = result.theirs(precision)
            ours = [row for row in result.rows if row.form and row.precision == precision]
            if theirs and ours:
                heads = [f"{result.name}, times the rate of", *(row.title for row in theirs)]
                print_table(heads, [[row.title, *ratios(row, theirs)] for row in ours])


def timed_turn(side: Side) -> tuple[object, float]:
    """The answer of a side, and the seconds that it took."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    answer = side.turn()
    return answer, time.perf_counter() - start


def multiplied_in(side: Side) -> str:
    """The precision of the products. Weights that are only stored as int8 are expanded before they are multiplied."""
    if side.title.endswith("int8 weights"):
        return "bf16" if processor.HAS_BF16 else "f32"
    return side.precision


def ratios(row: Row, others: list[Row]) -> list[str]:
    return [f"{row.texts_per_second / other.texts_per_second:.2f}" for other in others]
