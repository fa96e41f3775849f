"""What the examples share: their options, the loop with its progress bar, searches in the service, and the picture."""

import argparse
import io
from collections import Counter
from contextlib import suppress
from pathlib import Path

import torch
from nearfar import NotFoundError
from torch import nn
from tqdm import tqdm


def options(description, full, quick):
    """Reads the command line. full: the default of each option by its name; quick: the defaults with --quick."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the address of the service")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="where to save the picture")
    parser.add_argument("--quick", action="store_true", help="a small run of some seconds, which shows only that everything works")
    for name, value in full.items():
        parser.add_argument(f"--{name}", type=type(value), help=f"{value}, or {quick[name]} with --quick")
    given = parser.parse_args()
    for name, value in (quick if given.quick else full).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def mlp(*widths, bias=True, normalised_output=False):
    """Linear layers of these widths with batch normalisation and GELU between them, as the papers' projectors and predictors.

    The papers have ReLU, whose gradient jumps at 0. With it, losses that differ by rounding alone led to runs that differed by 0.04
    after 100 steps of SimCLR; with GELU, which is smooth, by 0.000001. So runs remain comparable.

    bias: of the last layer. normalised_output: whether the output is normalised over the batch, too, without trained scales.
    """
    layers = []
    for before, after in zip(widths, widths[1:-1]):
        # The normalisation subtracts the mean, so that a bias would have no effect.
        layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.GELU()]
    layers.append(nn.Linear(*widths[-2:], bias=bias and not normalised_output))
    if normalised_output:
        layers.append(nn.BatchNorm1d(widths[-1], affine=False))
    return nn.Sequential(*layers)


def convolutions(*channels):
    """Convolutions that halve height and width, with group normalisation and GELU.

    Group normalisation treats each input alone. Normalisation over a batch would let a network find out which inputs were in the
    batch together, for which MoCo needs a remedy, and it behaves differently after training.
    """
    layers = []
    for before, after in zip(channels, channels[1:]):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.GroupNorm(8, after), nn.GELU()]
    return nn.Sequential(*layers)


@torch.no_grad()
def follow(target, source, momentum):
    """Moves the parameters of the target network towards those of the source: target ← m·target + (1 − m)·source."""
    for slow, fast in zip(target.parameters(), source.parameters()):
        slow.lerp_(fast, 1 - momentum)


def train(method, batches, steps, rate, weight_decay=1e-4):
    """Returns the loss of each step. batches: gives the arguments of the method for one step after another, without end.

    AdamW with a warm-up over a tenth of the steps, then a cosine decay to zero.
    """
    trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.1, cycle_momentum=False)
    losses = []
    method.train()
    bar = tqdm(zip(range(steps), batches), total=steps, desc=type(method).__name__, unit="step")
    for _, batch in bar:
        loss = method(*batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        bar.set_postfix(loss=f"{losses[-1]:.3f}")
    return losses


@torch.no_grad()
def vectors(network, inputs, batch=500):
    """The network's vectors [n, d] of the inputs [n, …], without dropout and with the normalisation learned in training."""
    network.eval()
    found = torch.cat([network(part).flatten(1) for part in inputs.split(batch)])
    network.train()
    return found.numpy()


def store(client, collection, rows, labels):
    """Makes the collection anew, with each row's label as its metadata; the id of a point is its row number."""
    with suppress(NotFoundError):
        client.delete_collection(collection)
    client.create_collection(collection, dim=rows.shape[1])
    client.upsert([str(row) for row in range(len(rows))], rows, metadata=[{"label": label} for label in labels], collection=collection)


def search(client, collection, queries, k):
    """For each query its k nearest points by cosine, best first. Exact, so that all runs with one seed agree."""
    return client.neighbors(vectors=queries, collection=collection, k=k, exact=True).results


def vote(found):
    """The label that most of the neighbours have; among equally frequent ones, that of the nearest."""
    return Counter(neighbor.metadata["label"] for neighbor in found).most_common(1)[0][0]


def accuracy(results, labels):
    """The share of queries whose neighbours vote for the query's label."""
    return sum(vote(found) == label for found, label in zip(results, labels)) / len(labels)


def table(title, columns, rows):
    """Prints rows (name, share, …) below the names of their columns."""
    print(title)
    width = max(len(name) for name, *_ in rows)
    print(f"  {'':{width}}  " + "  ".join(columns))
    for name, *shares in rows:
        print(f"  {name:{width}}  " + "  ".join(f"{share:{len(column)}.4f}" for column, share in zip(columns, shares)))


def plot(path, title, losses, bars, tiles=None, caption=None, chance=None):
    """Saves a picture: the loss of each step; a bar (name, share) for each row of the table; and images.

    tiles: rows of images [h, w], the first of each row a query and the others what was found for it.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from PIL import Image

    figure = pyplot.figure(figsize=(11 if tiles else 8, 3.6), layout="constrained")
    parts = figure.subfigures(1, 2, width_ratios=(2, 1)) if tiles else [figure]
    left, right = parts[0].subplots(1, 2)
    figure.suptitle(title)
    left.plot(losses, color="tab:blue", linewidth=0.8)
    left.set(title="loss", xlabel="step")
    left.grid(alpha=0.3)
    names, shares = zip(*bars)
    columns = right.bar(range(len(bars)), shares, color=["lightgray"] * (len(bars) - 1) + ["tab:orange"])
    right.bar_label(columns, fmt="%.3f")
    right.set(title=caption, xticks=range(len(bars)), xticklabels=names, ylim=(0, 1.08))
    if tiles:
        grid = parts[1].subplots(len(tiles), len(tiles[0]), gridspec_kw={"wspace": 0.02, "hspace": 0.02})
        for axes, images in zip(grid, tiles):
            for cell, image in zip(axes, images):
                cell.imshow(image, cmap="gray_r", aspect="auto")
                cell.set(xticks=[], yticks=[])
        grid[0][0].set_title("query", fontsize=9)
        grid[0][1].set_title("found", fontsize=9, loc="left")
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=90)
    # With a palette of 256 colours the file has half the size.
    Image.open(drawn).convert("RGB").quantize(256).save(path, format="PNG", optimize=True)
    print(f"plot: {path.name}")
