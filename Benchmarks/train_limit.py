"""The limit that train.py compares steps with: the products of a step as fast as oneDNN makes them on the same threads."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from limit_program import built

# Tokens of one product: the pieces of a block that Nearfar's threads take, and larger ones.
ROWS = (128, 512)
# Tokens that one product adds to the gradients of weights: a block of texts.
TOKENS = 1_024
# Outputs whose weights get their gradients by one product; a layer's own outputs where it has fewer.
OUTPUTS = (192, 1_536)


@dataclass(frozen=True)
class Dense:
    """A dense layer of a transformer, and how many layers have it."""

    inputs: int
    outputs: int
    count: int

    def products(self) -> tuple[list[str], list[str], list[str]]:
        """Forward, and the derivatives by its inputs and by its weights, as train_limit.cpp takes them, each in several sizes."""
        return (
            [f"forward:{rows}x{self.inputs}x{self.outputs}" for rows in ROWS],
            [f"inputs:{rows}x{self.outputs}x{self.inputs}" for rows in ROWS],
            [f"weights:{min(self.outputs, count)}x{TOKENS}x{self.inputs}" for count in OUTPUTS],
        )

    @property
    def flop(self) -> float:
        """Of each of the three products, for one token through all layers."""
        return 2.0 * self.inputs * self.outputs * self.count


def dense_layers(model: Path) -> list[Dense]:
    """Of a BERT: queries, keys and values together, the output of attention, and the two products behind it."""
    config = json.loads((model / "config.json").read_text())
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    shapes = ((hidden, 3 * hidden), (hidden, hidden), (hidden, inner), (inner, hidden))
    return [Dense(inputs, outputs, layers) for inputs, outputs in shapes]


@dataclass(frozen=True)
class Limit:
    # GFLOP/s of each product, by what train_limit.cpp calls it.
    rates: dict[str, float]
    # Of the products of all layers, for each token.
    flop: float
    # Tokens a second, forward and backward, if there were nothing but products.
    tokens_per_second: float

    @property
    def rate(self) -> float:
        """GFLOP/s over all products."""
        return self.flop * self.tokens_per_second / 1e9


def measure(model: Path, threads: int, seconds: float = 0.15) -> Limit:
    layers = dense_layers(model)
    products = list(dict.fromkeys(name for layer in layers for sizes in layer.products() for name in sizes))
    command = [str(built("train_limit.cpp", "train-limit")), str(threads), str(seconds), *products]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rates = {name: float(rate) for name, rate in (line.split() for line in printed.splitlines())}
    per_token = 0.0
    for layer in layers:
        for sizes in layer.products():
            # In the size that is fastest, so that nobody's choice of pieces lowers the limit.
            per_token += layer.flop / (max(rates[name] for name in sizes) * 1e9)
    return Limit(rates, sum(3 * layer.flop for layer in layers), 1 / per_token)
