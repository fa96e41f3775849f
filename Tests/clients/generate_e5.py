#!/usr/bin/env python3
"""Writes fixtures/multilingual_e5_small.json: token ids and vectors of texts by `tokenizers` and `transformers`.

    pip install tokenizers==0.23.3 transformers==5.24.0 torch==2.13.0 safetensors
    scripts/model.sh --model multilingual-e5-small
    python Tests/clients/generate_e5.py models/multilingual-e5-small
"""

import base64
import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModel

TEXTS = [
    "", "query: 日本の首都はどこですか", "passage: 東京は日本の首都であり、世界で最も人口の多い都市圏の一つである。",
    "query: how much protein should a female eat", "passage: ﾊﾝｶｸカタカナと全角ＡＢＣ１２３、①②③㌔㍿。", "ひらがな カタカナ 漢字 ｶﾞｷﾞｸﾞ",
    "ตัวอย่างภาษาไทย", "مرحبا بالعالم ١٢٣", "सभी मनुष्य जन्म से स्वतन्त्र हैं", "👩‍👩‍👧‍👦🏳️‍🌈🇯🇵 ❤️", "e\u0301te\u0301 A\u030a \u1100\u1161\u11a8",
    "def f(x):\n\treturn {'a': x ** 2}  # コメント", "\u0000\u0001 \u200b\ufeff\u00ad a\u0085b", "안녕하세요 세계", "Ελληνικά Кириллица עברית ქართული",
    "吾輩は猫である。名前はまだ無い。" * 60,
]


def main(folder: str) -> None:
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(512)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    cases = []
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        with torch.no_grad():
            states = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        vector = torch.nn.functional.normalize(states.mean(0), dim=0).numpy().astype("<f4")
        cases.append({"text": text, "ids": ids, "vector": base64.b64encode(vector.tobytes()).decode()})
    target = Path(__file__).parent / "fixtures" / "multilingual_e5_small.json"
    target.write_text(json.dumps(cases, ensure_ascii=False, indent=0) + "\n")


main(sys.argv[1])
