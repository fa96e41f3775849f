"""What embed.py asks for, and whether a run meets it."""

from dataclasses import dataclass

import processor
from embed_lone import SHORT, Lone
from embed_throughput import Row, SetResult

# Times the rate of OpenVINO in bf16.
BF16_TIMES = {"glosses": 1.8, "paragraphs": 1.4}
BF16_LOWEST = 0.9999
BF16_SHARE = 0.75
# Times the rate of the fastest peer in int8 whose vectors are still of use.
INT8_TIMES = 2.5
INT8_PEER_LOWEST = 0.98
INT8_LOWEST = 0.995
# Times the rate of the fastest peer in f32.
F32_TIMES = 1.3
# Times ONNX Runtime's p50 in f32.
LONE_TIMES = {True: 0.5, False: 0.6}


@dataclass(frozen=True)
class Verdict:
    what: str
    asked: str
    result: str
    # "met", "missed" or "not measurable on this processor"
    verdict: str

    def line(self) -> str:
        return f"{self.verdict}: {self.what}: {self.result} (asked: {self.asked})"


class Asks:
    """Collects verdicts. `form` is the format of answers that is judged; `refused` has messages by precision."""

    def __init__(self, form: str, precisions: list[str], refused: dict[str, str]) -> None:
        self.form = form
        self.precisions = precisions
        self.refused = refused
        self.verdicts: list[Verdict] = []

    def throughput(self, results: list[SetResult]) -> None:
        for precision in self.precisions:
            for result in results:
                {"f32": self._f32, "bf16": self._bf16, "int8": self._int8}[precision](result)

    def _f32(self, result: SetResult) -> None:
        what, asked = f"f32 on {result.name}, times the best f32 peer", f"at least {F32_TIMES}"
        row = self._ours(result, "f32", what, asked)
        if row:
            self._times(row, result.theirs("f32"), F32_TIMES, what, asked)

    def _bf16(self, result: SetResult) -> None:
        what, times = f"bf16 on {result.name}, times OpenVINO bf16", BF16_TIMES[result.name]
        share = f"bf16 on {result.name}, share of the limit"
        if not processor.HAS_BF16:
            self._add(what, f"at least {times}", "-", None)
            self._add(share, f"at least {BF16_SHARE:.0%}", "-", None)
            if "bf16" in self.refused:
                self._add(f"bf16 on {result.name}, lowest cosine", f"at least {BF16_LOWEST}", "-", None)
                return
        row = self._ours(result, "bf16", what, f"at least {times}")
        if row is None:
            return
        if processor.HAS_BF16:
            peers = [peer for peer in result.theirs("bf16") if peer.title.startswith("OpenVINO")]
            self._times(row, peers, times, what, f"at least {times}")
            shown = "oneDNN has no bf16" if row.share is None else f"{row.share:.0%}"
            self._add(share, f"at least {BF16_SHARE:.0%}", shown, (row.share or 0) >= BF16_SHARE)
        self._lowest(row, BF16_LOWEST, f"bf16 on {result.name}")

    def _int8(self, result: SetResult) -> None:
        what = f"int8 on {result.name}, times the fastest int8 peer whose lowest cosine is at least {INT8_PEER_LOWEST}"
        row = self._ours(result, "int8", what, f"at least {INT8_TIMES}")
        if row is None:
            return
        peers = [peer for peer in result.theirs("int8") if peer.quality.lowest >= INT8_PEER_LOWEST]
        self._times(row, peers, INT8_TIMES, what, f"at least {INT8_TIMES}")
        self._lowest(row, INT8_LOWEST, f"int8 on {result.name}")

    def lone(self, results: list[Lone]) -> None:
        """Judged by the fastest of the precisions: whoever asks for the least time would serve that one."""
        for length in dict.fromkeys(one.length for one in results):
            times = LONE_TIMES[length == f"{SHORT} tokens"]
            what, asked = f"a lone request, {length}, times ONNX Runtime's p50 in process", f"at most {times}"
            peer = next(one for one in results if one.length == length and not one.precision)
            ours = [one for one in results if one.length == length and one.precision]
            if not ours:
                self._add(what, asked, "no precision was served", False)
                continue
            best = min(ours, key=lambda one: one.p50)
            self._add(what, asked, f"{best.p50 / peer.p50:.2f} in {best.precision}", best.p50 <= times * peer.p50)

    def report(self) -> bool:
        """Prints all verdicts; false when one is missed."""
        if self.verdicts:
            print(f"==> asked, by answers in {self.form}")
        for verdict in self.verdicts:
            print(verdict.line())
        return all(verdict.verdict != "missed" for verdict in self.verdicts)

    def _ours(self, result: SetResult, precision: str, what: str, asked: str) -> Row | None:
        row = result.ours(precision, self.form)
        if row is None:
            self._add(what, asked, f"refused at start: {self.refused.get(precision, 'not served')}", False)
        return row

    def _times(self, row: Row, peers: list[Row], times: float, what: str, asked: str) -> None:
        if not peers:
            self._add(what, asked, "there is no such peer", False)
            return
        best = max(peers, key=lambda peer: peer.texts_per_second)
        ratio = row.texts_per_second / best.texts_per_second
        self._add(what, asked, f"{ratio:.2f} ({best.title})", ratio >= times)

    def _lowest(self, row: Row, least: float, what: str) -> None:
        lowest = row.quality.lowest
        self._add(f"{what}, lowest cosine", f"at least {least}", f"{lowest:.6f}", lowest >= least)

    def _add(self, what: str, asked: str, result: str, is_met: bool | None) -> None:
        verdict = {True: "met", False: "missed", None: "not measurable on this processor"}[is_met]
        self.verdicts.append(Verdict(what, asked, result, verdict))
