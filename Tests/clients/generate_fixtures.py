#!/usr/bin/env python3
"""Writes fixtures/embeddings.json and fixtures/losses.json, the golden answers of these tests.

    python -m venv VENV && VENV/bin/pip install torch transformers tokenizers numpy
    VENV/bin/python Tests/clients/generate_fixtures.py models/all-MiniLM-L6-v2

The vectors come from the original model, run by PyTorch in float32, one text at a time. The losses are computed in float64
with PyTorch's log-sum-exp. Run this again only when the cases change: the tests read the files.
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertModel

FIXTURES = Path(__file__).resolve().parent / "fixtures"

LONG = " ".join(
    f"In room {n} the archive keeps {n * 7} letters, {n * 3} maps and one unfinished novel." for n in range(1, 31)
)

TEXTS = [
    "",
    " ",
    "\t\n",
    "a",
    "Hello, world!",
    "The cat sits on the mat.",
    "A feline rests upon a rug.",
    "Interest rates rose by 0.25 percentage points in June.",
    "the central bank made borrowing more expensive",
    "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)",
    "https://example.com/a?b=c&d=%20e#f",
    "Ünïcödé façade, déjà vu: señor Müller",
    "ångström ÅNGSTRÖM Ångström",
    "naïve e\u0301te\u0301 vs \u00e9t\u00e9",
    "北京是中国的首都。",
    "東京タワーは1958年に完成した",
    "한국어 문장입니다",
    "mixed 混合 text テキスト here",
    "🙂🚀 emoji 👩‍👩‍👧‍👦 family",
    "only 🦄",
    "Привет, мир! Ёлка",
    "مرحبا بالعالم",
    "שלום עולם",
    "हिन्दी में एक वाक्य",
    "[CLS] and [SEP] and [MASK] and [PAD] stand in the text",
    "[cls] [sep] are plain text",
    "x[MASK]y",
    "zero\u200bwidth and soft\u00adhyphen and nul\u0000byte",
    "tabs\tand\nnew lines\r\nand\u00a0no-break\u3000ideographic",
    "\ufffd replacement \ufffd",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "a" * 101,
    "b" * 100 + " " + "c" * 250,
    "!!! ??? ... --- ___ ///",
    "3.14159 1,000,000 1e-9 0x1F $5 €7 ¥9 50%",
    "İstanbul ıSPARTA ẞ ß ﬁne ﬂow",
    "line one\nline two\nline three",
    "don't can't won't it's",
    "math: ∑ ∫ √ ≤ ≥ ≠ α β γ",
    "𝕳𝖊𝖑𝖑𝖔 full width Ａｂｃ １２３",
    LONG,
    "词" * 300,
    LONG[:900] + " 🙂 " + LONG[900:],
]


def embed_all(folder: Path) -> dict:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    limit = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    model = BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager").eval()

    def raw_vector(ids: list[int]) -> np.ndarray:
        with torch.inference_mode():
            hidden = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
            return hidden.last_hidden_state[0].mean(dim=0).numpy()

    cases = []
    for text in TEXTS:
        tokenizer.no_truncation()
        whole = tokenizer.encode(text)
        tokens = []
        for index, (start, stop) in enumerate(whole.offsets):
            if whole.special_tokens_mask[index]:
                tokens.append([whole.ids[index], whole.tokens[index], True, None, None])
            else:
                # The library counts characters, whereas answers of /tokenize count bytes.
                ends = [len(text[:place].encode()) for place in (start, stop)]
                tokens.append([whole.ids[index], text[start:stop], False, *ends])
        tokenizer.enable_truncation(limit)
        ids = tokenizer.encode(text).ids
        raw = raw_vector(ids)
        case = {
            "text": text,
            "ids": ids,
            "norm": float(np.linalg.norm(raw)),
            "vector": base64_rows(normalised(raw)),
            "tokens": tokens,
        }
        if len(whole.ids) > limit:
            tokenizer.enable_truncation(limit, direction="left")
            left = tokenizer.encode(text).ids
            case["left_vector"] = base64_rows(normalised(raw_vector(left)))
        cases.append(case)
    return {"model": folder.name, "max_seq_length": limit, "dim": int(model.config.hidden_size), "cases": cases}


def normalised(row: np.ndarray) -> np.ndarray:
    row = row.astype("f8")
    return (row / np.linalg.norm(row)).astype("<f4")


def base64_rows(rows: np.ndarray) -> str:
    return base64.b64encode(rows.astype("<f4").tobytes()).decode()


def infonce(case: dict) -> tuple[float, list[float], int]:
    """Returns the loss in float64, the loss of each row, and the number of candidates of a row."""

    def rows(name):
        value = case.get(name)
        if value is None:
            return None
        tensor = torch.tensor(value, dtype=torch.float64)
        return torch.nn.functional.normalize(tensor, dim=-1, eps=0) if case.get("normalize", True) else tensor

    queries, keys, negatives = rows("queries"), rows("keys"), rows("negatives")
    temperature = case.get("temperature", 0.07)
    positives = torch.tensor(case.get("positives", range(len(queries))))
    similarity = queries @ keys.T
    positive = similarity.gather(1, positives[:, None])
    parts = [similarity if case.get("in_batch_negatives", True) else positive]
    if negatives is not None:
        parts.append(queries @ negatives.T if negatives.dim() == 2 else torch.einsum("nd,nmd->nm", queries, negatives))
    logits = torch.cat(parts, dim=1) / temperature
    per_row = torch.logsumexp(logits, dim=1) - positive[:, 0] / temperature
    return float(per_row.mean()), per_row.tolist(), logits.shape[1]


def losses() -> dict:
    random = np.random.default_rng(20250101)

    def matrix(*shape) -> list:
        # f32 holds these values exactly, so that the rounding of the input is not part of the comparison.
        return random.standard_normal(shape).astype("f4").astype("f8").tolist()

    near = matrix(5, 16)
    noisy = (np.array(near) + 0.05 * random.standard_normal((5, 16))).astype("f4").astype("f8").tolist()
    twins = [near[0]] * 4
    inputs = [
        ("in-batch, defaults", {"queries": matrix(6, 8), "keys": matrix(6, 8)}),
        ("one row has nothing to tell apart", {"queries": matrix(1, 4), "keys": matrix(1, 4)}),
        ("one row with negatives", {"queries": matrix(1, 4), "keys": matrix(1, 4), "negatives": matrix(3, 4)}),
        ("more keys than queries", {"queries": matrix(4, 12), "keys": matrix(9, 12), "positives": [8, 0, 3, 3]}),
        ("positives permute equal counts", {"queries": matrix(3, 5), "keys": matrix(3, 5), "positives": [2, 0, 1]}),
        ("shared negatives", {"queries": matrix(4, 8), "keys": matrix(4, 8), "negatives": matrix(7, 8)}),
        ("negatives of each row", {"queries": matrix(3, 8), "keys": matrix(3, 8), "negatives": matrix(3, 5, 8)}),
        (
            "only shared negatives",
            {"queries": matrix(4, 8), "keys": matrix(4, 8), "negatives": matrix(6, 8), "in_batch_negatives": False},
        ),
        (
            "only the row's negatives",
            {"queries": matrix(2, 3), "keys": matrix(2, 3), "negatives": matrix(2, 4, 3), "in_batch_negatives": False},
        ),
        ("the positive alone", {"queries": matrix(3, 4), "keys": matrix(3, 4), "in_batch_negatives": False}),
        ("not normalised", {"queries": matrix(5, 6), "keys": matrix(5, 6), "normalize": False, "temperature": 1.0}),
        (
            "not normalised, a zero row",
            {"queries": [[0, 0, 0], [1, 2, 3]], "keys": matrix(2, 3), "normalize": False, "temperature": 0.5},
        ),
        ("cold, near positives", {"queries": near, "keys": noisy, "temperature": 0.01}),
        ("cold, random", {"queries": matrix(8, 32), "keys": matrix(8, 32), "temperature": 0.01}),
        ("hot", {"queries": matrix(4, 4), "keys": matrix(4, 4), "temperature": 100.0}),
        ("duplicates: the log of their number", {"queries": twins, "keys": twins}),
        (
            "large values cancel in the norm",
            {"queries": [[1e30, 2e30], [-3e30, 1e30]], "keys": [[1e-30, 2e-30], [5e-30, 1e-30]]},
        ),
        ("wide", {"queries": matrix(3, 384), "keys": matrix(3, 384), "temperature": 0.05}),
    ]
    cases = []
    for name, request in inputs:
        loss, per_row, candidates = infonce(request)
        cases.append({"name": name, "request": request, "loss": loss, "per_row": per_row, "candidates": candidates})
    return {"objective": "infonce", "cases": cases}


def main() -> None:
    folder = Path(sys.argv[1])
    FIXTURES.mkdir(exist_ok=True)
    for name, content in (("embeddings", embed_all(folder)), ("losses", losses())):
        text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
        # One case per line, so that changing a case changes one line.
        text = text.replace('"cases":[{', '"cases":[\n{').replace('},{"text":', '},\n{"text":')
        text = text.replace('},{"name":', '},\n{"name":')
        (FIXTURES / f"{name}.json").write_text(text + "\n")
        print(name, len(content["cases"]))


if __name__ == "__main__":
    main()
