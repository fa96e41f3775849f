"""The tables of families.py, and whether a run meets what is asked for."""

from families_measure import Row
from text_table import print_table

# Cosine to ONNX Runtime in f32. Of int8 it is only printed: what int8 loses depends on how a model was trained, and
# random weights do not show it.
LEAST = {"f32": 0.9999, "bf16": 0.999}
PEERS = ("ONNX Runtime", "OpenVINO")


def number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def tables(rows: list[Row]) -> None:
    """One for each length."""
    for length in dict.fromkeys(row.length for row in rows):
        heads = [f"{length} tokens, texts/s", "precision", "Nearfar", *PEERS, "× best peer", "of the limit"]
        lines = [
            [
                row.family,
                row.precision,
                number(row.rate, ",.4g"),
                *(number(row.peers.get(peer), ",.4g") for peer in PEERS),
                number(row.ratio, ".2f"),
                number(row.share, ".0%"),
                number(row.lowest, ".6f"),
                number(row.peers_lowest, ".6f"),
            ]
            for row in rows
            if row.length == length
        ]
        print_table([*heads, "lowest cosine", "the peers'"], lines)


def is_met(rows: list[Row], asked: float) -> bool:
    """Prints what is missed, or that nothing is."""
    found = [(row, what) for row in rows for what in misses(row, asked)]
    missed = [f"{row.family} {row.precision}, {row.length} tokens: {what}" for row, what in found]
    print(f"==> asked: at least {asked:g} times the best peer of the same precision, and cosines of at least {LEAST}")
    for line in missed:
        print(f"missed: {line}")
    judged = sum(row.ratio is not None for row in rows)
    print(f"{judged - sum(below(row, asked) for row in rows)} of {judged} ratios are met")
    return not missed


def below(row: Row, asked: float) -> bool:
    return row.ratio is not None and row.ratio < asked


def misses(row: Row, asked: float) -> list[str]:
    if row.rate is None:
        return [f"refused at start: {row.refusal}"]
    found = [f"{row.ratio:.2f} times the best peer"] if below(row, asked) else []
    least = LEAST.get(row.precision)
    if least and row.lowest < least:
        found.append(f"lowest cosine {row.lowest:.6f}")
    return found
