"""The lone part of embed.py: what one request takes when nothing else is to be done, beside ONNX Runtime in process."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import glosses
import nearfar_side
import numpy as np
from bert_folder import BertFolder
from nearfar_side import NearfarSide
from onnx_peer import OnnxPeer
from text_table import print_table

# So that neither side meets the other's threads, which spin for a while after their work.
PAUSE = 0.03
SHORT = 16
LONG = 512


@dataclass(frozen=True)
class Lone:
    """Seconds of a request; ONNX Runtime's are in process, Nearfar's over HTTP. `precision` is empty for the former."""

    length: str
    precision: str
    p50: float
    p99: float


def texts_of(folder: BertFolder, length: int, count: int) -> list[str]:
    """`count` distinct texts of exactly `length` tokens, [CLS] and [SEP] among them: glosses one after another, cut."""
    tokenizer = folder.tokenizer()
    tokenizer.no_truncation()
    every = sorted(set(glosses.all_of_them()))
    chooser = random.Random(length)
    made: dict[str, None] = {}
    while len(made) < count:
        text = ""
        while len(tokenizer.encode(text).ids) < length + 1:
            text += " " * bool(text) + chooser.choice(every)
        # The last token that is kept may be part of a word, which may have other tokens now. Such a text is left out.
        text = text[: tokenizer.encode(text).offsets[length - 2][1]]
        if len(tokenizer.encode(text).ids) == length:
            made[text] = None
    return list(made)


def measure(peer: OnnxPeer, servers: list[NearfarSide], folder: BertFolder, count: int) -> list[Lone]:
    """Both sides take turns, request by request, each with the same text."""
    longest = min(LONG, folder.limit)
    lengths = {SHORT: f"{SHORT} tokens", longest: f"longest ({longest} tokens)"}
    print("==> lone requests", flush=True)
    if longest < LONG:
        print(f"this model takes {longest} tokens; a request of {LONG} would be cut to that", flush=True)
    results: list[Lone] = []
    for length, label in lengths.items():
        warm = max(10, count // 10)
        texts = texts_of(folder, length, warm + count)
        requests = [nearfar_side.request([text]) for text in texts]
        seconds: dict[str, list[float]] = {"": [], **{server.precision: [] for server in servers}}
        for text, request in zip(texts, requests):
            seconds[""].append(timed(peer.embed, [text]))
            for server in servers:
                seconds[server.precision].append(timed(server.connections(1)[0].exchange, request))
        for precision, times in seconds.items():
            p50, p99 = np.quantile(times[warm:], [0.5, 0.99])
            results.append(Lone(label, precision, float(p50), float(p99)))
    report(results, count)
    return results


def timed(work: Callable, argument) -> float:
    time.sleep(PAUSE)
    start = time.perf_counter()
    work(argument)
    return time.perf_counter() - start


def report(results: list[Lone], count: int) -> None:
    rows = []
    for one in results:
        peer = next(other for other in results if other.length == one.length and not other.precision)
        title = f"Nearfar {one.precision}, over HTTP" if one.precision else "ONNX Runtime f32, in process"
        ratio = f"{one.p50 / peer.p50:.2f}" if one.precision else "-"
        rows.append([f"{one.length}: {title}", f"{one.p50 * 1e3:.2f}", f"{one.p99 * 1e3:.2f}", ratio])
    print_table([f"lone requests, {count} of each", "p50, ms", "p99, ms", "p50 / ONNX Runtime's"], rows)
