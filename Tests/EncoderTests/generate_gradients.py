#!/usr/bin/env python3
"""Writes gradients of tiny models, as automatic differentiation finds them in the original code, to Gradients/ beside this file.

    python -m venv VENV && VENV/bin/pip install torch==2.13.0 transformers==5.24.0 tokenizers==0.23.3 numpy
    VENV/bin/python Tests/EncoderTests/generate_gradients.py

The models are those of Families/ (see Families/generate.py). For each there are a few texts as ids, and of the loss Σ weights·rows, where a row is
the pooled vector of a text, the derivatives by every parameter that it depends on. The weights are the whole numbers (37·i mod 101 − 50)/50 of
the places i in the rows, so that they need no file. The gradients are a safetensors file of f32 with the names of the checkpoint.
Tables of vectors keep only the rows that have a gradient: `NAME` has these rows and `NAME/rows` their numbers, as f32.
Run this again only when the cases change: the tests read the files.
"""

import json
import shutil
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
MODELS = [
    "bert", "roberta", "distilbert", "mpnet", "nomic-bert", "modernbert", "qwen3-divided", "gemma3", "gemma3-causal",
]  # fmt: skip
# By length, without padding; the ids avoid the special tokens.
LENGTHS = [5, 1, 23, 40]
POOLINGS = ["mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


def texts(length: int, shift: int) -> list[int]:
    return [5 + (7 * place + 3 * shift + place * place) % 24 for place in range(length)]


def pool(states: torch.Tensor, pooling: str) -> torch.Tensor:
    match pooling:
        case "mean":
            return states.mean(dim=0)
        case "cls":
            return states[0]
        case "max":
            return states.max(dim=0).values
        case "mean_sqrt_len_tokens":
            return states.sum(dim=0) / len(states) ** 0.5
        case "weightedmean":
            weights = torch.arange(1, len(states) + 1, dtype=states.dtype)
            return (states * weights[:, None]).sum(dim=0) / weights.sum()
        case "lasttoken":
            return states[-1]
    raise ValueError(pooling)


def gradients(name: str, poolings: list[str]) -> dict[str, torch.Tensor]:
    # In f64, so that the errors that the tests find are those of f32 there.
    model = transformers.AutoModel.from_pretrained(HERE / "Families" / name, dtype=torch.float64, attn_implementation="eager").eval()
    rows = []
    for shift, length in enumerate(LENGTHS):
        states = model(input_ids=torch.tensor([texts(length, shift)])).last_hidden_state[0]
        rows.append(torch.cat([pool(states, pooling) for pooling in poolings]))
    rows = torch.stack(rows)
    weights = (torch.arange(rows.numel()) * 37 % 101 - 50).double() / 50
    (rows * weights.reshape(rows.shape)).sum().backward()
    # A model whose parameters are the gradients is saved, so that their names are those of checkpoints.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.grad if parameter.grad is not None else torch.full_like(parameter, torch.nan))
    with tempfile.TemporaryDirectory() as folder:
        model.float().save_pretrained(folder)
        found = load_file(Path(folder) / "model.safetensors")
    return {key: gradient for key, gradient in found.items() if not gradient.isnan().any()}


def main() -> None:
    folder = HERE / "Gradients"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    cases = [(name, name, ["mean"]) for name in MODELS] + [("poolings", "bert", POOLINGS)]
    for case, name, poolings in cases:
        kept = {}
        for key, gradient in gradients(name, poolings).items():
            if gradient.dim() == 2 and ("embed" in key or "embedding" in key) and "relative" not in key:
                used = gradient.abs().sum(dim=1).nonzero()[:, 0]
                kept[key] = gradient[used].float().contiguous()
                kept[f"{key}/rows"] = used.float()
            else:
                kept[key] = gradient.float().contiguous()
        save_file(kept, folder / f"{case}.safetensors")
    (folder / "texts.json").write_text(json.dumps([texts(length, shift) for shift, length in enumerate(LENGTHS)]) + "\n")


if __name__ == "__main__":
    main()
