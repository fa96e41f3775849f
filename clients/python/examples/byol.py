#!/usr/bin/env python3
"""BYOL on Fashion-MNIST with a running Nearfar: a network predicts what a slower copy of itself sees, without any negatives.

    nearfar serve &                                  # in the project's folder: make run
    apt-get install dataset-fashion-mnist
    pip install './clients/python[example]'          # PyTorch, matplotlib, tqdm
    python clients/python/examples/byol.py --plot byol.png

From one view of an image a predictor guesses the vector that the target network gives to the other view, and the other way round.
The target network gets no gradients but follows the first network slowly. The service's objective `byol` returns none for it.

Grill et al., Bootstrap Your Own Latent, arXiv 2006.07733.
"""

import copy

import fashion
import parts
import torch
from nearfar.torch import contrastive_loss
from torch import nn

DIM, MOMENTUM = 64, 0.99


class BYOL(nn.Module):
    """score(predictions, targets): the loss of the predictions [n, d] of one view from the other."""

    def __init__(self, score):
        super().__init__()
        self.encoder = fashion.Encoder()
        # The first layer of the predictor is normalised over the batch. A bias before it would get a gradient of nothing but rounding.
        self.projector = parts.mlp(self.encoder.width, 256, DIM, bias=False)
        self.predictor = parts.mlp(DIM, 256, DIM)
        self.score = score
        self.target = copy.deepcopy(nn.Sequential(self.encoder, self.projector)).requires_grad_(False)

    def forward(self, first, second):
        parts.follow(self.target, nn.Sequential(self.encoder, self.projector), MOMENTUM)
        predicted = [self.predictor(self.projector(self.encoder(view))) for view in (first, second)]
        with torch.no_grad():
            targets = [self.target(view) for view in (second, first)]
        return (self.score(predicted[0], targets[0]) + self.score(predicted[1], targets[1])) / 2


def make(client):
    return BYOL(lambda predictions, targets: contrastive_loss(client, predictions, targets, objective="byol"))


if __name__ == "__main__":
    fashion.run(make, __doc__)
