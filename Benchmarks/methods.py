#!/usr/bin/env python3
"""Trains SimCLR, MoCo, BYOL and SimSiam with Nearfar's losses over HTTP and with lightly's in process, and compares them.

    Benchmarks/methods.py [--binary .build/release/nearfar] [--method NAME]... [--table FILE]

Both sides are the examples of the Python client (clients/python/examples): the same network, views, batches and seeds. Only the
function that gives the loss of two batches of vectors differs. The losses of the first 100 steps must agree within 0.001, and after all
steps the accuracy of the nearest neighbours within a point (one in a hundred test images). Exits with 1 when one of them does not.

The steps are those of the examples, one after another on the same threads, so that small differences grow in the same way in
every run.
"""

import argparse
import importlib
import sys
import time
from pathlib import Path

import own_venv

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PYTHON = ROOT / "clients" / "python"
METHODS = {"simclr": "SimCLR", "moco": "MoCo", "byol": "BYOL", "simsiam": "SimSiam"}
COMPARED, LOSS_LIMIT, ACCURACY_LIMIT = 100, 1e-3, 0.01
COLUMNS = ("method", "first loss", f"loss at step {COMPARED}", "largest difference", "accuracy", "lightly's", "time", "lightly's")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / ".build" / "release" / "nearfar")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--method", action="append", choices=METHODS, help="only these")
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch, on both sides")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", type=Path, help="write the figures here, as Markdown")
    return parser.parse_args()


def peer(name, example):
    """The method with lightly's loss. Its weights and first negatives are drawn in the order in which the example draws them."""
    import methods_peer

    method = getattr(example, METHODS[name])(None)
    if name == "simclr":
        method.score = methods_peer.simclr(example.TEMPERATURE)
    elif name == "moco":
        method.score = methods_peer.moco(example.TEMPERATURE, example.first_negatives())
    else:
        method.score = getattr(methods_peer, name)()
    return method


def measured(settings, client, make, data, test):
    """Trains what make() gives, and returns the loss of each step, the accuracy and the seconds of the training."""
    import fashion
    import parts
    import torch

    torch.manual_seed(settings.seed)
    method = make()
    batches = fashion.views(data[0], settings.batch, torch.Generator().manual_seed(settings.seed))
    start = time.monotonic()
    losses = parts.train(method, batches, settings.steps, fashion.FULL["rate"])
    seconds = time.monotonic() - start
    return losses, fashion.evaluate(client, "methods", method.encoder, *data, *test)[1], seconds


def compare(settings, client, name, data, test):
    """Returns the cells of the method's row, and whether both sides agree."""
    example = importlib.import_module(name)
    ours, accuracy, seconds = measured(settings, client, lambda: example.make(client), data, test)
    theirs, peer_accuracy, peer_seconds = measured(settings, client, lambda: peer(name, example), data, test)
    compared = min(COMPARED, settings.steps)
    difference = max(abs(a - b) for a, b in zip(ours[:compared], theirs[:compared]))
    cells = [METHODS[name], f"{ours[0]:.5f}", f"{ours[compared - 1]:.5f}", f"{difference:.1e}"]
    cells += [f"{accuracy:.4f}", f"{peer_accuracy:.4f}", f"{seconds:.0f} s", f"{peer_seconds:.0f} s"]
    return cells, difference <= LOSS_LIMIT and abs(accuracy - peer_accuracy) <= ACCURACY_LIMIT


def main() -> None:
    settings = arguments()
    own_venv.enter("methods-venv", "methods-requirements.txt")
    sys.path[:0] = [str(PYTHON / "src"), str(PYTHON / "examples")]
    import fashion
    import torch
    from nearfar import Client
    from server_process import ServerProcess

    torch.set_num_threads(settings.threads)
    server = ServerProcess([str(settings.binary), "serve", "--port", "0", "--model", str(settings.model)])
    rows, failed = [], []
    try:
        with Client(f"http://127.0.0.1:{server.port}") as client:
            data, test = fashion.read("train", settings.images), fashion.read("t10k", settings.test)
            for name in settings.method or METHODS:
                cells, agrees = compare(settings, client, name, data, test)
                rows.append(cells)
                if not agrees:
                    failed.append(METHODS[name])
    finally:
        server.stop()
    lines = ["| " + " | ".join(cells) + " |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows)]
    print("\n".join(lines))
    if settings.table:
        settings.table.write_text("\n".join(lines) + "\n")
    print(f"limits: losses within {LOSS_LIMIT} over {COMPARED} steps, accuracy within {ACCURACY_LIMIT}")
    if failed:
        sys.exit(f"missed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
