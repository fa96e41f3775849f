#!/usr/bin/env python3
"""SimSiam on Fashion-MNIST with a running Nearfar: a predictor and a stop-gradient suffice, without negatives and without a second network.

    nearfar serve &                                  # in the project's folder: make run
    apt-get install dataset-fashion-mnist
    pip install './clients/python[example]'          # PyTorch, matplotlib, tqdm
    python clients/python/examples/simsiam.py --plot simsiam.png

From one view of an image a predictor guesses the vector of the other view, and the other way round. The vector that is guessed
counts as a constant: the service's objective `simsiam` returns gradients of the predictions alone. Otherwise the network could
give the same vector to all images.

Chen and He, Exploring Simple Siamese Representation Learning, arXiv 2011.10566.
"""

import fashion
import parts
from nearfar.torch import contrastive_loss
from torch import nn

DIM = 128


class SimSiam(nn.Module):
    """score(predictions, targets): the loss of the predictions [n, d] of one view from the other, in which the targets are constant."""

    def __init__(self, score):
        super().__init__()
        self.encoder = fashion.Encoder()
        self.projector = parts.mlp(self.encoder.width, 256, DIM, normalised_output=True)
        self.predictor = parts.mlp(DIM, 64, DIM)
        self.score = score

    def forward(self, first, second):
        projected = [self.projector(self.encoder(view)) for view in (first, second)]
        predicted = [self.predictor(vectors) for vectors in projected]
        return (self.score(predicted[0], projected[1].detach()) + self.score(predicted[1], projected[0].detach())) / 2


def make(client):
    return SimSiam(lambda predictions, targets: contrastive_loss(client, predictions, targets, objective="simsiam"))


if __name__ == "__main__":
    fashion.run(make, __doc__)
