#!/usr/bin/env python3
"""Moving pictures with a running Nearfar: two cuts of one clip are near, so that an item is found again in another clip.

    nearfar serve &                                  # in the project's folder: make run
    apt-get install dataset-fashion-mnist
    pip install './clients/python[example]'          # PyTorch, matplotlib, tqdm
    python clients/python/examples/video.py --plot video.png

In each clip an item of Fashion-MNIST moves through a dark room: it comes back at the walls, turns, grows and shrinks, and the light
flickers. All this changes so fast that what two cuts have in common is the item. Two cuts of some frames, from different times of the
same clip, are positives, and the cuts of all other clips of the batch negatives: the service's objective `symmetric`. No label is
used. At the end a cut of one clip of each held-out item is in a collection, and a cut of another clip of the same item is the query.
"""

import fashion
import parts
import torch
from nearfar import Client
from nearfar.torch import contrastive_loss
from torch import nn
from torch.nn import functional

ROOM, FRAMES, LENGTH = 44, 4, 24
FULL = {"items": 10000, "test": 1000, "batch": 128, "steps": 500, "rate": 2e-3}
QUICK = {"items": 256, "test": 64, "batch": 16, "steps": 6, "rate": 2e-3}


def spread(low, high, count, chance):
    return low + (high - low) * torch.rand(count, generator=chance)


def bounce(position):
    """The place of something that started at `position` beyond the walls at -1 and 1 and is thrown back by them."""
    return (position + 1).remainder(4).sub(2).abs().sub(1).neg()


class Clips:
    """A clip for each of the items [n, 1, 28, 28], with its own path."""

    def __init__(self, items, chance):
        n = len(items)
        self.items, self.chance = items, chance
        self.start, self.speed = spread(-1, 1, (n, 2), chance), spread(-0.15, 0.15, (n, 2), chance)
        self.angle, self.turn = spread(-3, 3, n, chance), spread(-0.4, 0.4, n, chance)
        self.size, self.growth = spread(-2, 2, n, chance), spread(-0.2, 0.2, n, chance)

    def cut(self):
        """Returns FRAMES successive frames [n, FRAMES, ROOM, ROOM] from a random time of each clip."""
        n = len(self.items)
        time = torch.randint(0, LENGTH - FRAMES + 1, (n, 1), generator=self.chance) + torch.arange(FRAMES)
        angle = self.angle[:, None] + time * self.turn[:, None]
        size = (1 + 0.2 * bounce(self.size[:, None] + time * self.growth[:, None])) * fashion.SIDE / ROOM
        place = bounce(self.start[:, None] + time[..., None] * self.speed[:, None]) * (1 - size[..., None])
        # A position in the room, from -1 to 1, times this matrix [2, 3] is the position in the picture of the item.
        turned = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos()), -1).view(n, FRAMES, 2, 2) / size[..., None, None]
        matrix = torch.cat((turned, -(turned @ place[..., None])), -1).flatten(0, 1)
        grid = functional.affine_grid(matrix, [n * FRAMES, 1, ROOM, ROOM], align_corners=False)
        frames = functional.grid_sample(self.items.repeat_interleave(FRAMES, 0), grid, align_corners=False).view(n, FRAMES, ROOM, ROOM)
        light = spread(0.5, 1.5, (n, FRAMES, 1, 1), self.chance)
        return frames * light + 0.1 * torch.randn(frames.shape, generator=self.chance)


def pairs(items, batch, chance):
    """Gives two cuts of a clip of each of a random batch of items, without end."""
    while True:
        clips = Clips(items[torch.randperm(len(items), generator=chance)[:batch]], chance)
        yield clips.cut(), clips.cut()


class Encoder(nn.Module):
    """From cuts [n, FRAMES, ROOM, ROOM] to vectors [n, 128]: the largest value of each place, and the mean over frames."""

    def __init__(self):
        super().__init__()
        self.frame = nn.Sequential(parts.convolutions(1, 16, 32, 64, 128), nn.AdaptiveMaxPool2d(1), nn.Flatten())

    def forward(self, cuts):
        return self.frame(cuts.flatten(0, 1).unsqueeze(1)).view(len(cuts), FRAMES, -1).mean(1)


class Video(nn.Module):
    """score(queries, keys): the loss of the vectors [n, d] of two cuts."""

    def __init__(self, score):
        super().__init__()
        self.encoder = Encoder()
        self.projector = parts.mlp(128, 256, 64)
        self.score = score

    def forward(self, first, second):
        return self.score(self.projector(self.encoder(first)), self.projector(self.encoder(second)))


def main():
    settings = parts.options(__doc__, FULL, QUICK)
    torch.manual_seed(settings.seed)
    chance = torch.Generator().manual_seed(settings.seed)
    items = fashion.read("train", settings.items)[0]
    held_out = fashion.read("t10k", settings.test)[0]
    stored, asked = Clips(held_out, chance).cut(), Clips(held_out, chance).cut()
    numbers = list(range(settings.test))
    with Client(settings.url) as client:
        method = Video(lambda queries, keys: contrastive_loss(client, queries, keys, objective="symmetric", temperature=0.1))

        def measure(name, network):
            """What was found, and the share of queries whose item is the nearest, and among the ten nearest."""
            collection = f"example-video-{name.split()[0]}"
            parts.store(client, collection, parts.vectors(network, stored), numbers)
            results = parts.search(client, collection, parts.vectors(network, asked), 10)
            ranks = [[point.metadata["label"] for point in found] for found in results]
            return results, (name, *(sum(item in rank[:k] for item, rank in zip(numbers, ranks)) / len(ranks) for k in (1, 10)))

        rows = [measure("raw frames", nn.Flatten())[1], measure("untrained network", method.encoder)[1]]
        losses = parts.train(method, pairs(items, settings.batch, chance), settings.steps, settings.rate)
        results, row = measure("trained network", method.encoder)
        rows.append(row)
    print(f"loss {losses[0]:.4f} at first, {losses[-1]:.4f} at last")
    parts.table(f"the item of {settings.test:,} held-out clips found again in another clip", ["recall@1", "recall@10"], rows)
    if settings.plot:
        tiles = [[asked[row, 0], *(stored[int(point.id), 0] for point in results[row][:5])] for row in range(5)]
        bars = list(zip(("raw", "untrained", "trained"), (share for _, _, share in rows)))
        parts.plot(settings.plot, "Moving items", losses, bars, tiles, "the same item: recall@10")


if __name__ == "__main__":
    main()
