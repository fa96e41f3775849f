#!/usr/bin/env python3
"""Trains linear projections of words and glosses with a running Nearfar, and shows recall@1 on held-out pairs.

    nearfar serve &                                  # in the project's folder: make run
    pip install './clients/python[example]'          # PyTorch, matplotlib, tqdm
    python clients/python/examples/train_projection.py --plot training.png

The pairs are WordNet's nouns with their definitions ("trivet", "a stand with short feet used under a hot dish on a table"),
from Debian's package wordnet-base. The service embeds them once. Each step then requests the InfoNCE loss of a batch and its
gradients from the service, and Adam updates two matrices, which begin as the identity, so that step 0 measures the unchanged
encoder. The service also measures how often the right gloss is nearest to a held-out word: the diagnostic `accuracy_top1` of
the held-out batch is recall@1.
"""

import argparse
import random
import re
import sys
import time
from pathlib import Path

import torch
from nearfar import Client
from nearfar.torch import info_nce
from tqdm import tqdm


def read_pairs(path):
    """Returns (word, definition) for each noun that is one lower-case word, sorted by word. No definition occurs twice."""
    definitions = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            # The licence at the top is indented. A record has the form `offset file n count word … | definition; "an example"`.
            head, bar, gloss = line.partition(" | ")
            if line.startswith("  ") or not bar:
                continue
            word, definition = head.split()[4], gloss.split("; ")[0].strip()
            # A definition that contains the word itself would reveal the answer.
            if re.fullmatch("[a-z]{3,}", word) and word not in definition.lower():
                definitions.setdefault(word, definition)
    # Mapping definitions to words keeps only one word for each definition.
    words = {definition: word for word, definition in sorted(definitions.items(), reverse=True)}
    return sorted((word, definition) for definition, word in words.items())


def train(client, words, glosses, test_words, test_glosses, settings):
    """Returns (step, training loss, held-out loss, held-out recall@1) for each measured step."""
    dim = words.shape[1]
    for_words, for_glosses = (torch.eye(dim, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.Adam([for_words, for_glosses], lr=settings.lr)
    order = torch.Generator().manual_seed(settings.seed)
    rows, last = [], None

    def measure(step):
        with torch.no_grad():
            held = client.loss(
                (test_words @ for_words).numpy(), (test_glosses @ for_glosses).numpy(),
                temperature=settings.temperature, diagnostics=True,
            )  # fmt: skip
        rows.append((step, last, held.loss, held.diagnostics["accuracy_top1"]))
        if step % settings.print_every == 0:
            shown = "      –" if last is None else f"{last:7.4f}"
            tqdm.write(f"step {step:4}   training loss {shown}   held out: loss {held.loss:.4f}, recall@1 {rows[-1][3]:.4f}")

    measure(0)
    bar = tqdm(range(1, settings.steps + 1), desc="train", unit="step")
    for step in bar:
        batch = torch.randperm(len(words), generator=order)[: settings.batch]
        loss = info_nce(client, words[batch] @ for_words, glosses[batch] @ for_glosses, settings.temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        last = loss.item()
        if step % settings.measure_every == 0 or step == settings.steps:
            measure(step)
            bar.set_postfix({"loss": f"{last:.3f}", "recall@1": f"{rows[-1][3]:.3f}"})
    return rows


def plot(rows, settings, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps, training, held, recalls = zip(*rows)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(steps[1:], training[1:], color="tab:blue", label=f"training, batches of {settings.batch:,}")
    left.plot(steps, held, color="tab:orange", label=f"held out, {settings.test:,} pairs at once")
    left.set(title="InfoNCE loss", xlabel="step", ylabel="nats", ylim=(0, None))
    left.legend(loc="lower left")
    right.axhline(recalls[0], color="gray", linestyle="--", label=f"the encoder as it is: {recalls[0]:.3f}")
    right.plot(steps, recalls, color="tab:orange", label=f"projected, at the end: {recalls[-1]:.3f}")
    right.set(title=f"recall@1 among {settings.test:,} held-out glosses", xlabel="step")
    right.legend(loc="center right")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet/data.noun"))
    parser.add_argument("--train", type=int, default=16384, help="training pairs")
    parser.add_argument("--test", type=int, default=2048, help="pairs held out")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--temperature", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--measure-every", type=int, default=10)
    parser.add_argument("--print-every", type=int, default=50)
    parser.add_argument("--plot", type=Path, help="where to save the picture")
    settings = parser.parse_args()
    if not settings.wordnet.exists():
        sys.exit(f"{settings.wordnet} is not there: install Debian's wordnet-base, or name a data.noun with --wordnet")

    pairs = read_pairs(settings.wordnet)
    if len(pairs) < settings.train + settings.test:
        sys.exit(f"{settings.wordnet} has {len(pairs)} pairs, fewer than {settings.train} + {settings.test}")
    pairs = random.Random(settings.seed).sample(pairs, settings.train + settings.test)
    words, glosses = map(list, zip(*pairs))
    cut = settings.train
    print(f"{cut:,} pairs to train on, {settings.test:,} held out; the first: {words[0]!r}, {glosses[0]!r}", flush=True)

    with Client(settings.url) as client:
        vectors = [torch.from_numpy(client.embed(texts, batch_size=512, progress=True)) for texts in (words, glosses)]
        start = time.monotonic()
        rows = train(client, *(v[:cut] for v in vectors), *(v[cut:] for v in vectors), settings)
        seconds = time.monotonic() - start
    before, after = rows[0][3], rows[-1][3]
    print(f"{settings.steps} steps in {seconds:.1f} s; recall@1 on held-out pairs: {before:.4f} before, {after:.4f} after")
    if settings.plot:
        plot(rows, settings, settings.plot)
        print(f"plot: {settings.plot.name}")


if __name__ == "__main__":
    main()
