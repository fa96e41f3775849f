"""Fashion-MNIST for the four methods on images: reading, random views, a small network, and the run of a method."""

import gzip
import sys
import time
from pathlib import Path

import parts
import torch
from nearfar import Client
from torch import nn
from torch.nn import functional

FOLDER = Path("/usr/share/datasets/fashion-mnist")
# An image is 28 × 28 grey values, and its label is one of ten kinds of clothes.
SIDE = 28
NEIGHBORS = 20
FULL = {"images": 20000, "test": 2000, "batch": 256, "steps": 400, "rate": 2e-3}
QUICK = {"images": 512, "test": 128, "batch": 64, "steps": 8, "rate": 2e-3}


def read(part, count):
    """Returns the first images [count, 1, 28, 28] with values from 0 to 1, and their labels. part: train or t10k."""
    pixels, labels = FOLDER / f"{part}-images-idx3-ubyte.gz", FOLDER / f"{part}-labels-idx1-ubyte.gz"
    if not pixels.exists():
        sys.exit(f"{pixels} is not there: install Debian's dataset-fashion-mnist")
    with gzip.open(pixels) as file:
        # The header of an IDX file with three dimensions has 16 bytes, and with one dimension 8.
        file.read(16)
        images = torch.frombuffer(bytearray(file.read(count * SIDE * SIDE)), dtype=torch.uint8)
    with gzip.open(labels) as file:
        kinds = list(file.read()[8 : 8 + count])
    return images.view(-1, 1, SIDE, SIDE) / 255, kinds


def view(images, random):
    """Returns each image [n, 1, 28, 28] seen anew: cropped, mirrored, shifted, lighter or darker, and with noise."""
    n = len(images)
    crop, mirror, light, *shift = torch.rand(5, n, generator=random)
    scale = 0.6 + 0.5 * crop
    # A position in the new image, times this matrix, is the position in the old one; both go from -1 to 1.
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0] = scale * (mirror < 0.5).float().mul(2).sub(1)
    matrix[:, 1, 1] = scale
    matrix[:, :, 2] = (torch.stack(shift, 1) - 0.5) * 0.6
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    seen = functional.grid_sample(images, grid, align_corners=False)
    return seen * (0.6 + 0.8 * light.view(n, 1, 1, 1)) + 0.1 * torch.randn(images.shape, generator=random)


def views(images, batch, random):
    """Gives two views of a random batch of different images, without end."""
    while True:
        chosen = images[torch.randperm(len(images), generator=random)[:batch]]
        yield view(chosen, random), view(chosen, random)


class Encoder(nn.Sequential):
    """A network of three convolutions, from images [n, 1, 28, 28] to vectors [n, width]."""

    width = 512

    def __init__(self):
        super().__init__(parts.convolutions(1, 32, 64, 128), nn.AvgPool2d(2), nn.Flatten())


def evaluate(client, name, network, seen, seen_labels, test, test_labels):
    """Puts the vectors of images into a collection, and returns what is near to each test image, and the accuracy of the vote."""
    parts.store(client, name, parts.vectors(network, seen), seen_labels)
    results = parts.search(client, name, parts.vectors(network, test), NEIGHBORS)
    return results, parts.accuracy(results, test_labels)


def run(make, description):
    """Trains a method with a service and shows what its vectors are worth. make(client) is the method, whose `encoder` counts."""
    settings = parts.options(description, FULL, QUICK)
    torch.manual_seed(settings.seed)
    seen, labels = read("train", settings.images)
    test, test_labels = read("t10k", settings.test)
    with Client(settings.url) as client:
        method = make(client)
        name = type(method).__name__
        rows = []
        for what, network in (("raw pixels", nn.Flatten()), ("untrained network", method.encoder)):
            share = evaluate(client, f"example-{name}-{what.split()[0]}", network, seen, labels, test, test_labels)[1]
            rows.append((what, share))
        start = time.monotonic()
        losses = parts.train(
            method, views(seen, settings.batch, torch.Generator().manual_seed(settings.seed)), settings.steps, settings.rate
        )
        print(f"{settings.steps} steps in {time.monotonic() - start:.1f} s; loss {losses[0]:.4f} at first, {losses[-1]:.4f} at last")
        results, share = evaluate(client, f"example-{name}-trained", method.encoder, seen, labels, test, test_labels)
        rows.append((f"trained with {name}", share))
    parts.table(f"{NEIGHBORS} neighbours of {settings.test:,} test images among {settings.images:,}", ["accuracy"], rows)
    if settings.plot:
        tiles = [[test[row, 0], *(seen[int(found.id), 0] for found in results[row][:5])] for row in range(5)]
        bars = list(zip(("raw\npixels", "untrained\nnetwork", name), (share for _, share in rows)))
        parts.plot(settings.plot, f"{name} on Fashion-MNIST", losses, bars, tiles, "accuracy of nearest neighbours")
