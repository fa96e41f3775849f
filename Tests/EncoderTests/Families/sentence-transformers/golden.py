"""What sentence-transformers makes of a folder: golden.json, whose layout generate.py describes."""

import base64
import json
import re
from pathlib import Path

import sentence_transformers
import tokenizers
import torch
import transformers
from sentence_transformers import CrossEncoder, SentenceTransformer
from tokenizers import Tokenizer

import families

TEXTS = [
    "",
    "a",
    "The first ferry of the morning is never late.",
    "朝いちばんの電車は、海のそばの町に止まる。",
    "ｶﾌｪ① ﬁve ½ ㍿　全角",
    "오늘은 기차가 늦게 출발합니다.",
    "Последний билет на поезд продан!",
    "القطار الأخير يغادر في المساء.",
    "Où est l'hôtel? Nächste Straße links, señor…",
    "width = 12 * height  # 84 😀👩‍💻",
    "今天的火车晚点了三十分钟。",
    "รถไฟขบวนสุดท้าย",
    "one two three four five six seven eight nine ten " * 16,
]
PAIRS = [
    ("When does the first train leave?", "The first train to the coast leaves at six."),
    ("When does the first train leave?", "Cats sleep for most of the day."),
    ("東京の冬", "東京の冬は晴れの日が多く、空気が乾いている。"),
    ("東京の冬", "Le café près du marché ouvre à sept heures."),
    ("", "The harbour lights went out."),
    ("A question with an empty document", ""),
    ("билеты на поезд", "Поезд на север уходит вечером. " * 12),
]
LENGTHS = [1, 2, 17, 128, 511, 2048]


def sequence(length: int, seed: int, first: int, count: int) -> list[int]:
    ids, state = [], seed
    for _ in range(length):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        ids.append(first + (state >> 16) % count)
    return ids


def base64_of(vector: torch.Tensor) -> str:
    return base64.b64encode(vector.detach().float().numpy().astype("<f4").tobytes()).decode()


def feed(ids: list[int], types: list[int] | None = None) -> dict[str, torch.Tensor]:
    features = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    if types is not None:
        features["token_type_ids"] = torch.tensor([types])
    return features


def embeddings(model: families.Model, folder: Path, tokenizer: Tokenizer, lengths: list[int], ids: dict) -> dict:
    if not model.pooling:
        encoder = SentenceTransformer(str(folder), device="cpu")
    else:
        options = {"attn_implementation": "eager", "dtype": torch.float32}
        encoder = SentenceTransformer(str(folder), device="cpu", model_kwargs=options)
    prompts = sorted(set(model.sentence_settings.get("prompts", {}).values()) - {""})
    texts = []
    for index, text in enumerate(TEXTS):
        for prompt in [None] + (prompts if index in (2, 3, 12) else []):
            encoding = tokenizer.encode((prompt or "") + text, add_special_tokens=bool(model.pooling))
            features = encoder.preprocess([text], prompt=prompt)
            if features["input_ids"].flatten().tolist() != encoding.ids:
                raise SystemExit(f"{model.name}: {text!r} has the ids {features['input_ids'].flatten().tolist()} in "
                                 f"sentence-transformers and {encoding.ids} in tokenizers")
            # An empty prompt overrides the default one.
            vector = encoder.encode(text, prompt=prompt or "", convert_to_tensor=True)
            texts.append({
                "text": text,
                "prompt": prompt,
                "prompt_tokens": int(features.get("prompt_length", 0)) if prompt else 0,
                "ids": encoding.ids,
                "vector": base64_of(vector),
            })
    sequences = []
    for length in lengths:
        tokens = sequence(length, length, **ids)
        with torch.inference_mode():
            features = feed(tokens)
            if not model.pooling:
                features = {"input_ids": torch.tensor(tokens), "offsets": torch.tensor([0])}
            vector = encoder(features)["sentence_embedding"][0]
        sequences.append({"length": length, "seed": length, "vector": base64_of(vector)})
    return {"kind": "embed", "dimension": vector.shape[0], "texts": texts, "sequences": sequences}


def scores(model: families.Model, folder: Path, tokenizer: Tokenizer, lengths: list[int], ids: dict) -> dict:
    options = {"attn_implementation": "eager", "dtype": torch.float32}
    encoder = CrossEncoder(str(folder), device="cpu", model_kwargs=options)
    network = encoder.model.eval()
    reads_types = model.settings.get("type_vocab_size", 0) > 1
    pairs = []
    for query, document in PAIRS:
        encoding = tokenizer.encode(query, document)
        own = encoder.tokenizer([query], [document], truncation=True).input_ids[0]
        if own != encoding.ids:
            raise SystemExit(f"{model.name}: {query!r} is {own} in transformers and {encoding.ids} in tokenizers")
        with torch.inference_mode():
            logits = network(**feed(encoding.ids, encoding.type_ids if reads_types else None)).logits[0]
        score = torch.as_tensor(encoder.predict([(query, document)])[0]).flatten()
        pairs.append({
            "query": query,
            "document": document,
            "ids": encoding.ids,
            "types": encoding.type_ids,
            "logits": logits.tolist(),
            "scores": score.tolist(),
        })
    sequences = []
    for length in lengths:
        with torch.inference_mode():
            logits = network(**feed(sequence(length, length, **ids))).logits[0]
        sequences.append({"length": length, "seed": length, "logits": logits.tolist()})
    activation = type(encoder.activation_fn).__name__
    return {"kind": "rerank", "activation": activation, "pairs": pairs, "sequences": sequences}


def write(model: families.Model, folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(next(folder.rglob("tokenizer.json"))))
    if model.tokenizer_class:
        tokenizer.enable_truncation(model.limit)
    first = max(int(token_id) for token_id in tokenizer.get_added_tokens_decoder() if int(token_id) < 100) + 1
    # The last id may be <mask>.
    ids = {"first": first, "count": tokenizer.get_vocab_size() - first - 1}
    longest = 2048 if not model.settings or model.limit > 512 else 512
    lengths = [length for length in LENGTHS if length <= longest]
    content = (scores if model.labels else embeddings)(model, folder, tokenizer, lengths, ids)
    modules = (torch, transformers, sentence_transformers, tokenizers)
    versions = {module.__name__: module.__version__ for module in modules}
    content = {"libraries": versions, "kind": content.pop("kind"), "ids": ids} | content
    lines = json.dumps(content, ensure_ascii=False, indent=1)
    (folder / "golden.json").write_text(compact(lines) + "\n", encoding="utf-8")


def compact(text: str) -> str:
    """Puts lists of numbers on one line each."""
    return re.sub(r"\[\s+([-\d.e,\s]+?)\s+\]", lambda match: "[" + re.sub(r"\s+", " ", match[1]) + "]", text)
