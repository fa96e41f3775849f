#!/usr/bin/env python3
"""Writes fixtures/objectives.json: every objective with its gradients, by automatic differentiation in float64.

    python -m venv VENV && VENV/bin/pip install torch
    VENV/bin/python Tests/clients/generate_objectives.py

Run this again only when the cases change: the tests read the file.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(20260101)
DEFAULTS = {"temperature": 0.07, "normalize": True, "in_batch_negatives": True, "bias": -10.0}


def unit(x, case):
    return F.normalize(x, dim=-1, eps=0) if case["normalize"] else x


def cross_entropy(logits, positives):
    return torch.logsumexp(logits, dim=1) - logits.gather(1, positives[:, None])[:, 0]


def one_way(case, q, k, extra, drop_positive=False):
    positives = torch.tensor(case.get("positives", list(range(len(q)))))
    similarity = unit(q, case) @ unit(k, case).T
    positive = similarity.gather(1, positives[:, None])
    if case["in_batch_negatives"]:
        mask = torch.zeros_like(similarity).scatter_(1, positives[:, None], 1).bool()
        others = [similarity.masked_fill(mask, -1e30)]
    else:
        others = []
    for rows in extra:
        rows = unit(rows, case)
        query = unit(q, case)
        others.append(query @ rows.T if rows.dim() == 2 else torch.einsum("nd,nmd->nm", query, rows))
    parts = others if drop_positive else [positive, *others]
    return torch.logsumexp(torch.cat(parts, dim=1) / case["tau"], dim=1) - positive[:, 0] / case["tau"]


def evaluate(case, q, k, negatives, queue):
    tau = case["tau"]
    extra = [rows for rows in (negatives, queue) if rows is not None]
    name = case["objective"]
    if name in ("infonce", "moco"):
        return one_way(case, q, k, extra)
    if name == "dcl":
        return one_way(case, q, k, extra, drop_positive=True)
    if name == "symmetric":
        logits = unit(q, case) @ unit(k, case).T / tau
        diagonal = torch.arange(len(q))
        return (cross_entropy(logits, diagonal) + cross_entropy(logits.T, diagonal)) / 2
    if name in ("nt_xent", "supcon"):
        x = torch.cat([unit(q, case), unit(k, case)]) if k is not None else unit(q, case)
        n = len(x)
        logits = (x @ x.T / tau).masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
        if name == "nt_xent":
            return cross_entropy(logits, (torch.arange(n) + n // 2) % n)
        labels = torch.tensor(case["labels"] * (n // len(q)))
        same = (labels[:, None] == labels[None]) & ~torch.eye(n, dtype=torch.bool)
        count = same.sum(1)
        total = torch.logsumexp(logits, dim=1)
        mean = (logits.masked_fill(~same, 0)).sum(1) / count.clamp(min=1)
        return torch.where(count > 0, total - mean, torch.zeros(()))
    if name == "sigmoid":
        z = unit(q, case) @ unit(k, case).T / tau + case["b"]
        sign = 2 * torch.eye(len(q)) - 1
        return -F.logsigmoid(sign * z).sum(1)
    similarity = (unit(q, case) * unit(k, case).detach()).sum(1)
    return 2 - 2 * similarity if name == "byol" else -similarity


def rows(*shape):
    return torch.randn(*shape).float().double()


def build():
    near = rows(6, 10)
    yield "in-batch", {"objective": "infonce"}, rows(6, 10), rows(6, 10), None, None
    yield "cold and close", {"objective": "infonce", "temperature": 0.01}, near, near + 0.3 * rows(6, 10), None, None
    yield "very cold", {"objective": "infonce", "temperature": 0.005}, rows(5, 40), rows(5, 40), None, None
    yield "hot", {"objective": "infonce", "temperature": 100.0}, rows(5, 4), rows(5, 4), None, None
    yield "dot", {"objective": "infonce", "temperature": 0.5, "normalize": False}, rows(4, 6), rows(4, 6), None, None
    yield "positives", {"objective": "infonce", "positives": [4, 0, 4]}, rows(3, 5), rows(5, 5), None, None
    yield "shared", {"objective": "infonce"}, rows(4, 5), rows(4, 5), rows(9, 5), None
    yield "paired alone", {"objective": "infonce", "in_batch_negatives": False}, rows(4, 5), rows(4, 5), rows(4, 3, 5), None
    yield "paired", {"objective": "infonce", "temperature": 0.2}, rows(4, 5), rows(4, 5), rows(4, 2, 5), None
    yield "larger", {"objective": "infonce", "temperature": 0.1}, rows(70, 12), rows(70, 12), None, None
    yield "queue", {"objective": "infonce"}, rows(4, 6), rows(4, 6), None, rows(7, 6)
    yield "moco", {"objective": "moco"}, rows(4, 6), rows(4, 6), None, rows(9, 6)
    yield "symmetric", {"objective": "symmetric"}, rows(7, 9), rows(7, 9), None, None
    yield "symmetric, larger", {"objective": "symmetric", "temperature": 0.3}, rows(66, 7), rows(66, 7), None, None
    yield "nt_xent", {"objective": "nt_xent", "temperature": 0.5}, rows(5, 8), rows(5, 8), None, None
    yield "nt_xent, larger", {"objective": "nt_xent", "temperature": 0.1}, rows(40, 8), rows(40, 8), None, None
    yield "dcl", {"objective": "dcl", "temperature": 0.1}, rows(6, 8), rows(6, 8), None, None
    yield "dcl, paired", {"objective": "dcl", "in_batch_negatives": False}, rows(3, 8), rows(3, 8), rows(3, 4, 8), None
    yield "supcon", {"objective": "supcon", "temperature": 0.1, "labels": [0, 1, 0, 2, 1]}, rows(5, 8), rows(5, 8), None, None
    lonely = {"objective": "supcon", "labels": [3, 3, -7, 3, 5, 5]}
    yield "supcon, one view, a lonely row", lonely, rows(6, 8), None, None, None
    yield "sigmoid", {"objective": "sigmoid"}, rows(5, 8), rows(5, 8), None, None
    yield "sigmoid, own bias", {"objective": "sigmoid", "temperature": 0.5, "bias": -2.0}, rows(66, 8), rows(66, 8), None, None
    yield "simsiam", {"objective": "simsiam"}, rows(5, 8), rows(5, 8), None, None
    yield "byol", {"objective": "byol"}, rows(5, 8), rows(5, 8), None, None


def main():
    cases = []
    for name, given, *tensors in build():
        case = {**DEFAULTS, **given}
        if given["objective"] == "moco":
            case["in_batch_negatives"] = False
        default = 0.1 if given["objective"] == "sigmoid" else DEFAULTS["temperature"]
        # τ is rounded to f32, as the service holds it.
        tau = torch.tensor(torch.tensor(given.get("temperature", default)).item(), dtype=torch.float64, requires_grad=True)
        bias = torch.tensor(case["bias"], dtype=torch.float64, requires_grad=True)
        q, k, negatives, queue = tensors
        for tensor in (q, k, negatives):
            if tensor is not None:
                tensor.requires_grad_()
        per_row = evaluate({**case, "tau": tau, "b": bias}, q, k, negatives, queue)
        excluded = []
        if given["objective"] == "supcon":
            labels = given["labels"] * (len(per_row) // len(q))
            excluded = [row for row, label in enumerate(labels) if labels.count(label) < 2]
        loss = per_row.sum() / (len(per_row) - len(excluded))
        loss.backward()
        leaves = {"queries": q, "keys": k, "negatives": negatives, "temperature": tau, "bias": bias}
        gradients = {leaf: tensor.grad.tolist() for leaf, tensor in leaves.items()
                     if tensor is not None and tensor.grad is not None}
        inputs = {"queries": q, "keys": k, "negatives": negatives}
        cases.append({
            "name": name, "options": given, "temperature": tau.item(),
            **{field: tensor.tolist() for field, tensor in inputs.items() if tensor is not None},
            **({"queue": queue.tolist()} if queue is not None else {}),
            "loss": loss.item(), "per_row": per_row.tolist(), "excluded": excluded, "gradients": gradients})
    target = Path(__file__).resolve().parent / "fixtures" / "objectives.json"
    target.write_text(json.dumps({"torch": torch.__version__, "cases": cases}, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
