#!/usr/bin/env python3
"""Writes Fixtures/losses.json: values and gradients of contrastive losses as widely used libraries compute them.

    python -m venv VENV
    VENV/bin/pip install numpy==2.4.6 torch==2.13.0 pytorch-metric-learning==2.9.0 sentence-transformers==6.2.0
    VENV/bin/pip install --no-deps lightly==1.6.0
    VENV/bin/python Tests/ContrastiveTests/generate_fixtures.py

Inputs are f32; everything after that is f64, gradients by autograd. `source` names the library whose own class
computed a case; "torch" means the formulas of the interface in plain PyTorch. A case holds only the gradients that the
library defines as the interface does. Run this again only when the cases change: the tests read the file.
"""

import base64
import importlib
import importlib.metadata
import inspect
import json
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import numpy
import torch
from torch.nn.functional import cross_entropy, logsigmoid, normalize


def lightly(name: str):
    """Imports a module of lightly without running its package's __init__, which needs an image library that losses do not use."""
    for package in ["lightly", "lightly.loss", "lightly.models", "lightly.models.modules", "lightly.utils"]:
        if package not in sys.modules:
            stub = types.ModuleType(package)
            root = importlib.metadata.distribution("lightly").locate_file("")
            stub.__path__ = [str(Path(str(root)) / package.replace(".", "/"))]
            sys.modules[package] = stub
    sys.modules.setdefault("lightly.models.utils", types.ModuleType("lightly.models.utils"))
    return importlib.import_module(name)


def encoded(tensor: torch.Tensor, kind: str) -> dict:
    data = tensor.detach().numpy().astype(kind).tobytes()
    return {"shape": list(tensor.shape), "data": base64.b64encode(data).decode()}


class Batch:
    """One batch: f32 values as f64 leaf tensors, and options under their names in the interface."""

    def __init__(self, name, source, objective, seed, rows, dim, temperature, **options):
        random = numpy.random.default_rng(seed)

        def leaf(*shape):
            values = random.normal(size=shape) * random.uniform(0.5, 2, size=(*shape[:-1], 1))
            return torch.tensor(values.astype("f4"), dtype=torch.float64).requires_grad_()

        self.name, self.source, self.objective, self.options = name, source, objective, options
        self.queries = leaf(rows, dim)
        self.keys = None
        if options.pop("views", 2) == 2:
            near = self.queries.detach().numpy() + random.normal(size=(rows, dim)) * 0.8
            self.keys = torch.tensor(near.astype("f4"), dtype=torch.float64).requires_grad_()
            extra = options.pop("extra_keys", 0)
            if extra:
                self.keys = torch.cat([self.keys.detach(), leaf(extra, dim).detach()]).requires_grad_()
        negatives = options.pop("negatives", None)
        self.negatives = leaf(*negatives, dim) if negatives else None
        if options.pop("other_queries", False):
            # The negatives of a row are all other queries, which a two-sided loss uses in addition to the keys.
            others = [[j for j in range(rows) if j != i] for i in range(rows)]
            self.negatives = self.queries.detach()[torch.tensor(others)].requires_grad_()
        queue = options.pop("queue", 0)
        self.queue = leaf(queue, dim).detach() if queue else None
        if options.pop("unit_queue", False):
            # Rounded to f32, as it is stored; the tests normalise it again, which corrects the norms.
            self.queue = normalize(self.queue, dim=1).float().double()
        # τ is rounded to f32, as the library holds it.
        self.temperature = torch.tensor(float(numpy.float32(temperature)), dtype=torch.float64).requires_grad_()
        self.bias = torch.tensor(float(options.get("bias", -10.0)), dtype=torch.float64).requires_grad_()

    def unit(self, rows):
        return normalize(rows, dim=-1, eps=0) if self.options.get("normalize", True) else rows

    def case(self, per_row=None, loss=None, leaves=("queries", "keys", "negatives", "temperature")) -> dict:
        loss = per_row.mean() if loss is None else loss
        present = {name: getattr(self, name) for name in leaves if getattr(self, name) is not None}
        gradients = torch.autograd.grad(loss, list(present.values())) if present else []
        result = {"name": self.name, "source": self.source, "objective": self.objective, **self.options}
        result["temperature"] = self.temperature.item()
        for name in ["queries", "keys", "negatives", "queue"]:
            if getattr(self, name) is not None:
                result[name] = encoded(getattr(self, name), "<f4")
        expect = {"loss": loss.item()}
        if per_row is not None:
            expect["per_row"] = encoded(per_row, "<f8")
        for name, gradient in zip(present, gradients):
            expect[name] = encoded(gradient, "<f8") if gradient.ndim else gradient.item()
        result["expect"] = expect
        return result


def softmax_rows(batch: Batch) -> dict:
    """infonce, moco and dcl."""
    q, k = batch.unit(batch.queries), batch.unit(batch.keys)
    rows = torch.arange(len(q))
    positives = torch.tensor(batch.options.get("positives", list(range(len(q)))))
    positive = (q * k[positives]).sum(1) / batch.temperature
    others = []
    if batch.objective != "moco" and batch.options.get("in_batch_negatives", True):
        mask = torch.zeros(len(q), len(k), dtype=torch.bool)
        mask[rows, positives] = True
        # Masked after the division, because its derivative at -inf is NaN.
        others.append((q @ k.T / batch.temperature).masked_fill(mask, -torch.inf))
    if batch.negatives is not None:
        n = batch.unit(batch.negatives)
        products = q @ n.T if n.ndim == 2 else torch.einsum("nd,nmd->nm", q, n)
        others.append(products / batch.temperature)
    if batch.queue is not None:
        others.append(q @ batch.unit(batch.queue).T / batch.temperature)
    candidates = others if batch.objective == "dcl" else [positive[:, None], *others]
    return batch.case(torch.logsumexp(torch.cat(candidates, dim=1), dim=1) - positive)


def symmetric(batch: Batch) -> dict:
    logits = batch.unit(batch.queries) @ batch.unit(batch.keys).T / batch.temperature
    target = torch.arange(len(logits))
    halves = [cross_entropy(side, target, reduction="none") / 2 for side in (logits, logits.T)]
    return batch.case(halves[0] + halves[1])


def nt_xent(batch: Batch) -> dict:
    x = batch.unit(torch.cat([batch.queries, batch.keys]))
    logits = (x @ x.T / batch.temperature).masked_fill(torch.eye(len(x), dtype=torch.bool), -torch.inf)
    half = len(batch.queries)
    return batch.case(cross_entropy(logits, (torch.arange(2 * half) + half) % (2 * half), reduction="none"))


def supcon(batch: Batch) -> dict:
    views = [batch.queries] if batch.keys is None else [batch.queries, batch.keys]
    x = batch.unit(torch.cat(views))
    labels = torch.tensor(batch.options["labels"]).repeat(len(views))
    itself = torch.eye(len(x), dtype=torch.bool)
    logits = x @ x.T / batch.temperature
    log_prob = logits - torch.logsumexp(logits.masked_fill(itself, -torch.inf), dim=1, keepdim=True)
    partners = (labels[:, None] == labels[None]) & ~itself
    counts = partners.sum(1)
    per_row = -(log_prob * partners).sum(1) / counts.clamp(min=1)
    return batch.case(per_row, per_row.sum() / (counts > 0).sum())


def sigmoid(batch: Batch) -> dict:
    logits = batch.unit(batch.queries) @ batch.unit(batch.keys).T / batch.temperature + batch.bias
    signs = 2 * torch.eye(len(logits), dtype=torch.float64) - 1
    return batch.case(-logsigmoid(signs * logits).sum(1), leaves=("queries", "keys", "temperature", "bias"))


def predictor(batch: Batch) -> dict:
    """simsiam and byol."""
    cosine = (batch.unit(batch.queries) * batch.unit(batch.keys.detach())).sum(1)
    return batch.case(-cosine if batch.objective == "simsiam" else 2 - 2 * cosine, leaves=("queries",))


def plain_torch() -> list[dict]:
    def make(function, *arguments, **options):
        return function(Batch(arguments[0], "torch", *arguments[1:], **options))

    labels = [0, 1, 0, 2, 1, 1, 3, 0]
    return [
        make(softmax_rows, "in batch", "infonce", 1, 9, 6, 0.07),
        make(softmax_rows, "in batch, cold", "infonce", 2, 8, 12, 0.01),
        make(softmax_rows, "dot product", "infonce", 3, 7, 5, 0.5, normalize=False),
        make(softmax_rows, "more keys", "infonce", 4, 6, 7, 0.1, extra_keys=5, positives=[3, 0, 10, 5, 3, 1]),
        make(softmax_rows, "shared negatives", "infonce", 5, 6, 7, 0.07, negatives=(9,)),
        make(softmax_rows, "shared only", "infonce", 6, 6, 7, 0.07, negatives=(9,), in_batch_negatives=False),
        make(softmax_rows, "paired negatives", "infonce", 7, 5, 7, 0.2, negatives=(5, 3)),
        make(softmax_rows, "paired only", "infonce", 8, 5, 7, 0.2, negatives=(5, 3), in_batch_negatives=False),
        make(softmax_rows, "queue and paired", "infonce", 9, 5, 7, 0.1, negatives=(5, 2), queue=11),
        make(softmax_rows, "over a tile", "infonce", 10, 70, 5, 0.1),
        make(softmax_rows, "decoupled", "dcl", 11, 7, 6, 0.1),
        make(softmax_rows, "decoupled, shared only", "dcl", 12, 6, 6, 0.1, negatives=(4,), in_batch_negatives=False),
        make(softmax_rows, "decoupled, paired, queue", "dcl", 13, 6, 6, 0.3, negatives=(6, 2), queue=5),
        make(softmax_rows, "queue", "moco", 14, 6, 6, 0.07, queue=17),
        make(softmax_rows, "queue and shared", "moco", 15, 6, 6, 0.2, queue=7, negatives=(3,)),
        make(symmetric, "two ways", "symmetric", 16, 9, 6, 0.07),
        make(symmetric, "two ways, dot product", "symmetric", 17, 6, 6, 1.5, normalize=False),
        make(nt_xent, "SimCLR", "nt_xent", 18, 7, 6, 0.5),
        make(nt_xent, "SimCLR, cold", "nt_xent", 19, 7, 9, 0.05),
        make(supcon, "two views", "supcon", 20, 8, 6, 0.1, labels=labels),
        make(supcon, "one view, two rows alone", "supcon", 21, 8, 6, 0.1, views=1, labels=labels),
        make(sigmoid, "pairwise", "sigmoid", 22, 7, 6, 0.1, bias=-10.0),
        make(sigmoid, "pairwise, dot product", "sigmoid", 23, 6, 6, 1.0, bias=0.5, normalize=False),
        make(predictor, "prediction", "simsiam", 24, 6, 6, 0.07),
        make(predictor, "prediction", "byol", 25, 6, 6, 0.07),
    ]


def metric_learning() -> list[dict]:
    from pytorch_metric_learning.losses import NTXentLoss, SupConLoss

    def batch(*arguments, **options):
        return Batch(arguments[0], "pytorch-metric-learning", *arguments[1:], **options)

    cases = []
    views = batch("NTXentLoss", "nt_xent", 31, 8, 6, 0.2)
    labels = torch.arange(8).repeat(2)
    loss = NTXentLoss(temperature=views.temperature)(torch.cat([views.queries, views.keys]), labels)
    cases.append(views.case(loss=loss))

    pairs = batch("NTXentLoss with reference embeddings", "infonce", 32, 8, 6, 0.07)
    loss = NTXentLoss(temperature=pairs.temperature)(
        pairs.queries, torch.arange(8), ref_emb=pairs.keys, ref_labels=torch.arange(8)
    )
    cases.append(pairs.case(loss=loss))

    positives = [4, 0, 2, 7, 9]
    more = batch("NTXentLoss with more references", "infonce", 33, 5, 6, 0.1, extra_keys=5, positives=positives)
    loss = NTXentLoss(temperature=more.temperature)(
        more.queries, torch.tensor(positives), ref_emb=more.keys, ref_labels=torch.arange(10)
    )
    cases.append(more.case(loss=loss))

    labels = [0, 1, 0, 2, 1, 1, 3, 0]
    alone = batch("SupConLoss, two rows alone", "supcon", 34, 8, 6, 0.1, views=1, labels=labels)
    loss = SupConLoss(temperature=alone.temperature)(alone.queries, torch.tensor(labels))
    cases.append(alone.case(loss=loss))

    both = batch("SupConLoss, two views", "supcon", 35, 8, 6, 0.07, labels=labels)
    embeddings = torch.cat([both.queries, both.keys])
    loss = SupConLoss(temperature=both.temperature)(embeddings, torch.tensor(labels).repeat(2))
    cases.append(both.case(loss=loss))
    return cases


def lightly_losses() -> list[dict]:
    entropy = lightly("lightly.loss.ntx_ent_loss")
    decoupled = lightly("lightly.loss.dcl_loss")
    cosine = lightly("lightly.loss.negative_cosine_similarity")

    def batch(*arguments, **options):
        return Batch(arguments[0], "lightly", *arguments[1:], **options)

    cases = []
    views = batch("NTXentLoss", "nt_xent", 41, 7, 6, 0.5)
    cases.append(views.case(loss=entropy.NTXentLoss(temperature=views.temperature)(views.queries, views.keys)))

    bank = batch("NTXentLoss with a memory bank", "moco", 42, 6, 6, 0.07, queue=13, unit_queue=True)
    loss = entropy.NTXentLoss(temperature=bank.temperature, memory_bank_size=(13, 6))
    loss.memory_bank.bank = normalize(bank.queue, dim=1)
    cases.append(bank.case(loss=loss(bank.queries, bank.keys)))

    # One side of DCLLoss, whose negatives are the other rows of both views. Its gradient with respect to the queries
    # includes that of the negatives, which are queries too, so only the keys' gradient can be compared.
    side = batch("DCLLoss, one side", "dcl", 43, 6, 6, 0.1, other_queries=True)
    q, k = side.unit(side.queries), side.unit(side.keys)
    loss = decoupled.DCLLoss(temperature=side.temperature)._loss(q, k, q, k)
    cases.append(side.case(loss=loss, leaves=("keys", "temperature")))

    prediction = batch("NegativeCosineSimilarity", "simsiam", 44, 6, 6, 0.07)
    value = cosine.NegativeCosineSimilarity()(prediction.queries, prediction.keys.detach())
    cases.append(prediction.case(loss=value, leaves=("queries",)))

    prediction = batch("2 + 2 NegativeCosineSimilarity", "byol", 45, 6, 6, 0.07)
    value = cosine.NegativeCosineSimilarity()(prediction.queries, prediction.keys.detach())
    cases.append(prediction.case(loss=2 + 2 * value, leaves=("queries",)))
    return cases


def sentence_transformers() -> list[dict]:
    from sentence_transformers.sentence_transformer.losses import (
        MultipleNegativesRankingLoss,
        MultipleNegativesSymmetricRankingLoss,
    )

    def batch(*arguments, **options):
        return Batch(arguments[0], "sentence-transformers", *arguments[1:], **options)

    # The classes expect a model that computes the embeddings; here these are passed directly.
    def loss_of(kind, one, embeddings, **options):
        return kind(None, scale=1 / one.temperature, **options).compute_loss_from_embeddings(embeddings, None)

    cases = []
    pairs = batch("MultipleNegativesRankingLoss", "infonce", 51, 8, 6, 0.05)
    cases.append(pairs.case(loss=loss_of(MultipleNegativesRankingLoss, pairs, [pairs.queries, pairs.keys])))

    hard = batch("MultipleNegativesRankingLoss, hard negatives", "infonce", 52, 6, 6, 0.05, negatives=(12,))
    columns = [hard.queries, hard.keys, hard.negatives[:6], hard.negatives[6:]]
    cases.append(hard.case(loss=loss_of(MultipleNegativesRankingLoss, hard, columns)))

    # As in lightly's DCLLoss, the negatives are queries too. The class masks before it scales, so that the scale's derivative
    # is not defined.
    joint = batch("MultipleNegativesRankingLoss, query to query", "infonce", 53, 6, 6, 0.1, other_queries=True)
    directions = ("query_to_doc", "query_to_query")
    value = loss_of(MultipleNegativesRankingLoss, joint, [joint.queries, joint.keys], directions=directions)
    cases.append(joint.case(loss=value, leaves=("keys",)))

    two = batch("MultipleNegativesSymmetricRankingLoss", "symmetric", 54, 8, 6, 0.05)
    cases.append(two.case(loss=loss_of(MultipleNegativesSymmetricRankingLoss, two, [two.queries, two.keys])))
    return cases


def transformers_losses() -> list[dict]:
    from transformers.models.clip.modeling_clip import image_text_contrastive_loss
    from transformers.models.siglip.modeling_siglip import SiglipModel

    clip = Batch("CLIP's image_text_contrastive_loss", "transformers", "symmetric", 61, 8, 6, 0.07)
    logits = clip.unit(clip.queries) @ clip.unit(clip.keys).T / clip.temperature
    cases = [clip.case(loss=image_text_contrastive_loss(logits))]

    # The model's forward pass with both encoders replaced by the embeddings; the texts are its rows.
    siglip = Batch("SiglipModel.forward", "transformers", "sigmoid", 62, 8, 6, 0.1, bias=-10.0)
    model = SimpleNamespace(
        config=SimpleNamespace(return_dict=True),
        text_model=lambda **_: SimpleNamespace(pooler_output=siglip.queries),
        vision_model=lambda **_: SimpleNamespace(pooler_output=siglip.keys),
        logit_scale=-torch.log(siglip.temperature),
        logit_bias=siglip.bias,
    )
    forward = inspect.unwrap(SiglipModel.forward)
    loss = forward(model, input_ids=None, pixel_values=None, return_loss=True).loss
    cases.append(siglip.case(loss=loss, leaves=("queries", "keys", "temperature", "bias")))
    return cases


def main() -> None:
    torch.set_num_threads(1)
    cases = plain_torch() + metric_learning() + lightly_losses() + sentence_transformers() + transformers_losses()
    packages = ["torch", "numpy", "pytorch-metric-learning", "lightly", "sentence-transformers", "transformers"]
    versions = {name: importlib.metadata.version(name) for name in packages}
    target = Path(__file__).resolve().parent / "Fixtures" / "losses.json"
    target.parent.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(case, separators=(",", ":"), allow_nan=False) for case in cases)
    target.write_text(f'{{"versions":{json.dumps(versions)},\n"cases":[\n{lines}\n]}}\n')
    print(f"{len(cases)} cases, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
