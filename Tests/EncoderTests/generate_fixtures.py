#!/usr/bin/env python3
"""Writes Fixtures/poolings.json: vectors of the original model under the poolings that its own folder does not use.

    python -m venv VENV && VENV/bin/pip install torch transformers tokenizers numpy
    VENV/bin/python Tests/EncoderTests/generate_fixtures.py models/all-MiniLM-L6-v2

The vectors are not normalised. Run this again only when the cases change: the tests read the file.
"""

import base64
import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import BertModel

TEXTS = ["", "A short one.", "Seven keys hang behind the door of the boat house, and none of them fits the lock."]


def main(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    model = BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager").eval()
    cases = []
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        with torch.inference_mode():
            states = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        weights = torch.arange(1, len(ids) + 1, dtype=torch.float32).unsqueeze(1)
        rows = {
            "mean": states.mean(dim=0),
            "cls": states[0],
            "max": states.max(dim=0).values,
            "meanSquareRoot": states.sum(dim=0) / len(ids) ** 0.5,
            "weighted": (states * weights).sum(dim=0) / weights.sum(),
            "last": states[-1],
        }
        cases.append({"ids": ids, **{name: encoded(row) for name, row in rows.items()}})
    target = Path(__file__).resolve().parent / "Fixtures" / "poolings.json"
    target.write_text(json.dumps({"torch": torch.__version__, "cases": cases}, indent=1) + "\n")


def encoded(row: torch.Tensor) -> str:
    return base64.b64encode(row.numpy().astype("<f4").tobytes()).decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
