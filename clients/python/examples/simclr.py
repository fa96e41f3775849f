#!/usr/bin/env python3
"""SimCLR on Fashion-MNIST with a running Nearfar: two views of an image are near, and all other images of the batch far.

    nearfar serve &                                  # in the project's folder: make run
    apt-get install dataset-fashion-mnist
    pip install './clients/python[example]'          # PyTorch, matplotlib, tqdm
    python clients/python/examples/simclr.py --plot simclr.png

The network and its optimiser are here; the loss of each batch and its gradients come from the service's /loss. Then the vectors of
the images go into a collection, and each test image gets the label of its neighbours there.

Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, arXiv 2002.05709.
"""

import fashion
import parts
from nearfar.torch import contrastive_loss
from torch import nn

TEMPERATURE = 0.2


class SimCLR(nn.Module):
    """score(queries, keys): the loss of two views' vectors [n, d], which are normalised there."""

    def __init__(self, score):
        super().__init__()
        self.encoder = fashion.Encoder()
        self.projector = parts.mlp(self.encoder.width, 256, 64)
        self.score = score

    def forward(self, first, second):
        return self.score(self.projector(self.encoder(first)), self.projector(self.encoder(second)))


def make(client):
    return SimCLR(lambda queries, keys: contrastive_loss(client, queries, keys, objective="nt_xent", temperature=TEMPERATURE))


if __name__ == "__main__":
    fashion.run(make, __doc__)
