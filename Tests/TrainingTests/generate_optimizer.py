"""Writes Fixtures/adamw.json: 20 steps of torch.optim.AdamW behind torch.nn.utils.clip_grad_norm_.

The tensors are in three parameter groups with learning rates of their own, as layer-wise decay gives them; norms and biases do
not decay. The learning rate follows a linear warm-up. Every second step has gradients whose norm is below the limit of
clipping. Values are base64 of little-endian f32, the tensors one after another. Needs torch and numpy.
"""

import base64
import json
import pathlib

import torch

STEPS, PEAK, WARMUP, DECAY, LIMIT, LAYER_DECAY = 20, 1e-2, 5, 0.1, 1.0, 0.8
# name, shape, role, depth
TENSORS = [
    ("words", (6, 5), "table", 0),
    ("layer.0.weight", (7, 5), "matrix", 1),
    ("layer.0.bias", (7,), "bias", 1),
    ("layer.1.weight", (5, 7), "matrix", 2),
    ("layer.1.norm", (5,), "norm", 2),
]

generator = torch.Generator().manual_seed(20)
deepest = max(depth for *_, depth in TENSORS)
parameters = [torch.randn(shape, generator=generator).requires_grad_() for _, shape, _, _ in TENSORS]
groups = [
    {
        "params": [parameter],
        "weight_decay": DECAY if role in ("matrix", "table") else 0.0,
        "factor": LAYER_DECAY ** (deepest - depth),
    }
    for parameter, (_, _, role, depth) in zip(parameters, TENSORS)
]
optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.999), eps=1e-8)


def values(tensors):
    flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
    return base64.b64encode(flat.numpy().astype("<f4").tobytes()).decode()


result = {
    "tensors": [{"name": n, "shape": s, "role": r, "depth": d} for n, s, r, d in TENSORS],
    "torch": torch.__version__,
    "peak": PEAK,
    "warmup": WARMUP,
    "steps": STEPS,
    "decay": DECAY,
    "limit": LIMIT,
    "layerDecay": LAYER_DECAY,
    "initial": values(parameters),
    "run": [],
}
for step in range(STEPS):
    scale = 3.0 if step % 2 == 0 else 0.02
    for parameter in parameters:
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator)
    gradients = values(parameter.grad for parameter in parameters)
    norm = torch.nn.utils.clip_grad_norm_(parameters, LIMIT)
    rate = PEAK * min(1.0, step / WARMUP) * min(1.0, (STEPS - step) / (STEPS - WARMUP))
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    optimizer.step()
    result["run"].append({"rate": rate, "norm": norm.item(), "gradients": gradients, "values": values(parameters)})

folder = pathlib.Path(__file__).parent / "Fixtures"
folder.mkdir(exist_ok=True)
(folder / "adamw.json").write_text(json.dumps(result, indent=1) + "\n")
