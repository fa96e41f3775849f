#!/usr/bin/env python3
"""MoCo on Fashion-MNIST with a running Nearfar, which keeps the queue of negatives.

    nearfar serve &                                  # in the project's folder: make run
    apt-get install dataset-fashion-mnist
    pip install './clients/python[example]'          # PyTorch, matplotlib, tqdm
    python clients/python/examples/moco.py --plot moco.png

Two views of an image are near. Far are the images of earlier batches, whose vectors the service keeps in a queue: each request to
/loss is scored with the queue and then appends its keys, so that they never have to be sent again. The keys come from a second
network that follows the first one slowly, and so the vectors in the queue remain comparable.

He et al., Momentum Contrast for Unsupervised Visual Representation Learning, arXiv 1911.05722.
"""

import copy
from contextlib import suppress

import fashion
import parts
import torch
from nearfar import NotFoundError
from nearfar.torch import contrastive_loss
from torch import nn
from torch.nn import functional

QUEUE, LENGTH, DIM, TEMPERATURE, MOMENTUM = "example-moco", 4096, 64, 0.2, 0.99


class MoCo(nn.Module):
    """score(queries, keys): the loss of two views' vectors [n, d] with the negatives of the queue."""

    def __init__(self, score):
        super().__init__()
        self.encoder = fashion.Encoder()
        self.projector = parts.mlp(self.encoder.width, 256, DIM)
        self.score = score
        self.slow = copy.deepcopy(nn.Sequential(self.encoder, self.projector)).requires_grad_(False)

    def forward(self, first, second):
        parts.follow(self.slow, nn.Sequential(self.encoder, self.projector), MOMENTUM)
        queries = self.projector(self.encoder(first))
        with torch.no_grad():
            keys = functional.normalize(self.slow(second))
        return self.score(queries, keys)


def first_negatives():
    """Random unit vectors, which fill the queue before the first batch."""
    return functional.normalize(torch.randn(LENGTH, DIM))


def make(client):
    method = MoCo(lambda queries, keys: contrastive_loss(client, queries, keys, objective="moco", temperature=TEMPERATURE, queue=QUEUE))
    with suppress(NotFoundError):
        client.delete_queue(QUEUE)
    client.create_queue(QUEUE, LENGTH, DIM)
    # A request appends its keys, and so this one, whose loss is of no interest, fills the queue.
    rows = first_negatives()
    client.loss(rows, rows, objective="moco", queue=QUEUE)
    return method


if __name__ == "__main__":
    fashion.run(make, __doc__)
