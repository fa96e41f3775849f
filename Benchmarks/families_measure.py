"""Measures one model of families.py: its sides take turns at each length, within a precision."""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import families_make
import numpy as np
import processor
from embed_quality import cosines
from families_models import Family
from families_peers import OnnxSide, OpenVinoSide, PeerSide
from families_served import ServedSide
from families_words import Texts
from onednn_limit import Limit
from server_process import Refused

# ONNX Runtime's threads spin for up to 0.2 s after their work, and would take a core from the next side.
PAUSE = 0.3
# No side needs more different texts in a turn: the fastest begins again with the first.
MOST_TEXTS = 16_384
# Work of the products of the texts whose vectors are compared: few of long texts in a large model.
COMPARED_FLOP = 1e12
LIMIT_SECONDS = 0.15
# A model with more than these operations a token has longer turns in proportion: in a turn of two requests it would matter most how
# they begin.
USUAL_FLOP_PER_TOKEN = 250e6


@dataclass(frozen=True)
class Row:
    """One model in one precision at one length. Rates are texts a second, by the name of the peer."""

    family: str
    precision: str
    length: int
    # None where the server did not start; `refusal` says why.
    rate: float | None
    peers: dict[str, float]
    # Of the rate of oneDNN's product; None where oneDNN has none in this precision on this processor.
    share: float | None
    lowest: float | None
    peers_lowest: float | None
    refusal: str = ""

    @property
    def ratio(self) -> float | None:
        return self.rate / max(self.peers.values()) if self.rate and self.peers else None


class FamilyRun:
    def __init__(self, family: Family, options: argparse.Namespace) -> None:
        self.family = family
        self.options = options
        self.seconds = options.seconds * max(1, family.flop_per_token / USUAL_FLOP_PER_TOKEN)
        self.limit = Limit(family, options.threads)
        self.sets = {length: self._texts(length) for length in options.lengths}
        self.reference: dict[int, np.ndarray] = {}

    def _texts(self, length: int) -> tuple[list[str], list[list[int]]]:
        """As many as the fastest side could need, were it to reach 2 TFLOP/s."""
        needed = 2e12 * self.seconds / (self.family.flop_per_token * length)
        count = min(MOST_TEXTS, max(64, round(needed)))
        return Texts(families_make.folder(self.family)).make(length, count, seed=3)

    def compared(self, length: int) -> int:
        return max(2, min(32, int(COMPARED_FLOP / self.family.flop_per_token / length)))

    def measure(self) -> list[Row]:
        rows = []
        for precision in self.options.precisions:
            if not self.reference:
                self._make_reference()
            sides, refusal = self._open(precision)
            try:
                rows += [self._row(precision, length, sides, refusal) for length in self.options.lengths]
            finally:
                for side in sides:
                    side.close()
        return rows

    def _make_reference(self) -> None:
        """Vectors of ONNX Runtime in f32. It is loaded for this alone, so that it takes no memory from int8's sides."""
        side = self._peer(OnnxSide, "f32")
        for length, (_, ids) in self.sets.items():
            side.rows = np.array(ids, np.int64)
            self.reference[length] = side.vectors(self.compared(length))
        side.close()

    def _peer(self, kind: Callable, precision: str) -> PeerSide:
        options = self.options
        return kind(precision, families_make.peers(self.family), options.threads, self.seconds)

    def _open(self, precision: str) -> tuple[list[PeerSide | ServedSide], str]:
        """The sides of a precision in the order of their turns, and why Nearfar is not among them."""
        kinds = {"f32": [OnnxSide, OpenVinoSide], "bf16": [OpenVinoSide], "int8": [OnnxSide, OpenVinoSide]}[precision]
        if precision == "bf16" and not processor.HAS_BF16:
            kinds = []
        sides: list[PeerSide | ServedSide] = [self._peer(kind, precision) for kind in kinds]
        options = self.options
        try:
            model = families_make.folder(self.family)
            sides.append(ServedSide(options.binary, model, precision, options.threads, self.seconds))
        except Refused as error:
            return sides, str(error)
        return sides, ""

    def _row(self, precision: str, length: int, sides: list, refusal: str) -> Row:
        print(f"==> {self.family.name} {precision}, {length} tokens", flush=True)
        count = self.compared(length)
        lowest = {}
        for side in sides:
            time.sleep(PAUSE)
            way = side.prepare(*self.sets[length])
            lowest[side.title] = float(cosines(side.vectors(count), self.reference[length]).min())
            print(f"{side.title}: {way}; lowest cosine {lowest[side.title]:.6f}", flush=True)
        rates: dict[str, list[float]] = {side.title: [] for side in sides}
        limits = []
        for _ in range(self.options.rounds):
            time.sleep(PAUSE)
            limits.append(self.limit.measure(LIMIT_SECONDS).get(precision))
            for side in sides:
                time.sleep(PAUSE)
                rates[side.title].append(side.turn())
        middle = {title: statistics.median(found) for title, found in rates.items()}
        shown = ", ".join(f"{title} {rate:.4g}" for title, rate in middle.items())
        print(f"texts/s: {shown}", flush=True)

        ours = f"Nearfar {precision}"
        theirs = {side.name: middle[side.title] for side in sides if side.title != ours}
        rate = middle.get(ours)
        share = None
        if rate and None not in limits:
            share = rate * length * self.family.flop_per_token / 1e9 / statistics.median(limits)
        peers_lowest = min((lowest[title] for title in lowest if title != ours), default=None)
        return Row(self.family.name, precision, length, rate, theirs, share, lowest.get(ours), peers_lowest, refusal)
