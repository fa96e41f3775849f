"""The tables of train.py, and whether a run meets what is asked for."""

from dataclasses import dataclass

from text_table import print_table
from train_sides import NEARFAR, PEERS

MIB = 1 << 20

# Nearfar's pairs/s, times those of the peer that computes the same in the same way, and the share of its memory.
LEAST_RATIO = 4.0
MOST_MEMORY = 1 / 3
JUDGED = "mnrl"
# The memory of a batch of 4,096 pairs, in MiB.
LARGE_MEMORY = 2_048
# How far recall may be from the peer's.
RECALL = 0.005
# Of the table: times the texts/s of its teacher, the share of the teacher's recall@10, and seconds of training.
STATIC_RATIO = 50.0
STATIC_RECALL = 0.85
STATIC_SECONDS = 15 * 60

NAMES = {NEARFAR: "Nearfar", "before": "before training", **PEERS}


@dataclass(frozen=True)
class Rate:
    side: str
    pairs: float
    tokens: float
    peak: float
    losses: list[float]


@dataclass(frozen=True)
class Large:
    batch: int
    pairs: float
    tokens: float
    peak: float


@dataclass(frozen=True)
class Quality:
    side: str
    steps: int
    recalls: dict[str, float]
    losses: list[float]


@dataclass(frozen=True)
class Static:
    """What the table and its teacher do in the service; `seconds` is the training of the table, `peak` its memory in MiB."""

    seconds: float
    peak: float
    table: dict[str, float]
    teacher: dict[str, float]
    table_texts: float
    teacher_texts: float


class Report:
    """Collects what the parts have measured."""

    def __init__(self) -> None:
        self.rates: list[Rate] = []
        self.tokens_limit: float | None = None
        self.products: dict[str, float] = {}
        self.large: Large | None = None
        self.qualities: list[Quality] = []
        self.static: Static | None = None
        # What is asked, what was found, and whether that is enough.
        self.judgements: list[tuple[str, str, bool]] = []

    def print_all(self) -> bool:
        """Prints tables and judgements; returns whether all thresholds are met."""
        for part in (self._rates, self._large, self._qualities, self._static):
            part()
        for asked, found, is_met in self.judgements:
            print(f"{'met' if is_met else 'MISSED'}: {asked}: {found}")
        return all(is_met for *_, is_met in self.judgements)

    def _judge(self, asked: str, found: str, is_met: bool) -> None:
        self.judgements.append((asked, found, is_met))

    def _rates(self) -> None:
        if not self.rates:
            return
        ours = next((rate for rate in self.rates if rate.side == NEARFAR), None)
        heads = ["training", "pairs/s", "tokens/s", "peak MiB", "× pairs/s", "of its memory", "of the limit", "last loss"]
        rows = []
        for rate in self.rates:
            is_peer = ours is not None and rate is not ours
            rows.append(
                [
                    NAMES[rate.side],
                    f"{rate.pairs:,.1f}",
                    f"{rate.tokens:,.0f}",
                    f"{rate.peak:,.0f}",
                    f"{ours.pairs / rate.pairs:.2f}" if is_peer else "-",
                    f"{ours.peak / rate.peak:.2f}" if is_peer else "-",
                    f"{rate.tokens / self.tokens_limit:.0%}" if self.tokens_limit else "-",
                    f"{rate.losses[-1]:.4f}",
                ]
            )
        print_table(heads, rows)
        if self.products:
            rows = [[name, f"{rate:,.0f}"] for name, rate in self.products.items()]
            print_table(["products by oneDNN, f32: rows × inner × columns", "GFLOP/s"], rows)
        peer = next((rate for rate in self.rates if rate.side == JUDGED), None)
        if ours and peer:
            ratio, share = ours.pairs / peer.pairs, ours.peak / peer.peak
            self._judge(f"pairs/s at least {LEAST_RATIO:g} times {NAMES[JUDGED]}", f"{ratio:.2f}", ratio >= LEAST_RATIO)
            self._judge(f"at most {MOST_MEMORY:.2f} of its memory", f"{share:.2f}", share <= MOST_MEMORY)

    def _large(self) -> None:
        if not self.large:
            return
        large = self.large
        heads = ["Nearfar alone", "pairs/s", "tokens/s", "peak MiB"]
        row = [f"batches of {large.batch:,} pairs", f"{large.pairs:,.1f}", f"{large.tokens:,.0f}", f"{large.peak:,.0f}"]
        print_table(heads, [row])
        asked = f"{large.batch:,} pairs in at most {LARGE_MEMORY:,} MiB"
        self._judge(asked, f"{large.peak:,.0f}", large.peak <= LARGE_MEMORY)

    def _qualities(self) -> None:
        if not self.qualities:
            return
        rows = [
            [
                NAMES[each.side],
                str(each.steps),
                *(f"{each.recalls[name]:.4f}" for name in ("recall@1", "recall@10")),
                # Of the last quarter, because one batch says little.
                f"{mean(each.losses[-max(1, len(each.losses) // 4) :]):.4f}" if each.losses else "-",
            ]
            for each in self.qualities
        ]
        print_table(["held-out glosses", "steps", "recall@1", "recall@10", "loss at the end"], rows)
        by_side = {each.side: each.recalls for each in self.qualities}
        for name in ("recall@1", "recall@10"):
            difference = by_side[NEARFAR][name] - by_side[JUDGED][name]
            asked = f"{name} within {RECALL:g} of {NAMES[JUDGED]}"
            self._judge(asked, f"{difference:+.4f}", abs(difference) <= RECALL + 1e-9)

    def _static(self) -> None:
        if not self.static:
            return
        found = self.static
        rows = [
            [name, *(f"{recalls[each]:.4f}" for each in ("recall@1", "recall@10")), f"{texts:,.0f}"]
            for name, recalls, texts in (
                ("teacher", found.teacher, found.teacher_texts),
                ("table", found.table, found.table_texts),
            )
        ]
        print_table(["served in f32", "recall@1", "recall@10", "texts/s"], rows)
        print(f"training of the table: {found.seconds:,.0f} s, {found.peak:,.0f} MiB\n")
        ratio = found.table_texts / found.teacher_texts
        share = found.table["recall@10"] / found.teacher["recall@10"]
        self._judge(f"texts/s at least {STATIC_RATIO:g} times the teacher's", f"{ratio:.1f}", ratio >= STATIC_RATIO)
        self._judge(f"recall@10 at least {STATIC_RECALL:g} of the teacher's", f"{share:.3f}", share >= STATIC_RECALL)
        asked = f"trained in at most {STATIC_SECONDS:,} s"
        self._judge(asked, f"{found.seconds:,.0f}", found.seconds <= STATIC_SECONDS)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)
