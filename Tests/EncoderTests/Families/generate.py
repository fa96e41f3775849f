#!/usr/bin/env python3
"""Writes a tiny random model of each family beside this file, with its vectors as the original code computes them.

    python -m venv VENV && VENV/bin/pip install torch==2.13.0 transformers==5.24.0 tokenizers==0.23.3 numpy
    VENV/bin/python Tests/EncoderTests/Families/generate.py

Each folder is one in the Hugging Face layout: config.json, the tensors (in BF16, or divided among files, in some), and a tokenizer of a few
words. golden.json has the texts, which are the same for all, and for each folder the mean of the last hidden states of each text, as base64
of little-endian f32. Run this again only when the cases change: the tests read the files.
"""

import base64
import copy
import json
import random
import shutil
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

HERE = Path(__file__).resolve().parent
WORDS = "a bread by cat day door eats far green hill in lamp near of old red river sees the this to under wet wind".split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# The number of tokens of each text, with [CLS] and [SEP].
LENGTHS = [3, 4, 17, 18, 40, 128, 511]
SHARED = {"vocab_size": len(SPECIAL) + len(WORDS), "pad_token_id": 0, "initializer_range": 0.2}
BERT_SIZES = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48, "num_hidden_layers": 2}
DECODER_SIZES = {
    "hidden_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 48,
    "max_position_embeddings": 1024,
}  # fmt: skip
GEMMA = {**DECODER_SIZES, "sliding_window": 16, "query_pre_attn_scalar": 20}

# By folder: the class of the model, its settings, and how the tensors are saved.
FAMILIES = {
    "bert": ("Bert", {**BERT_SIZES, "max_position_embeddings": 520}, {}),
    "roberta": ("Roberta", {**BERT_SIZES, "max_position_embeddings": 522, "pad_token_id": 1}, {}),
    "xlm-roberta": ("XLMRoberta", {**BERT_SIZES, "max_position_embeddings": 522, "pad_token_id": 1, "type_vocab_size": 1}, {}),
    "camembert": ("Camembert", {**BERT_SIZES, "max_position_embeddings": 522, "pad_token_id": 1, "hidden_act": "gelu_new"}, {}),
    "distilbert": ("DistilBert", {"dim": 32, "n_heads": 4, "n_layers": 2, "hidden_dim": 48, "max_position_embeddings": 520}, {}),
    "mpnet": ("MPNet", {**BERT_SIZES, "max_position_embeddings": 522, "pad_token_id": 1}, {}),
    "nomic-bert": ("NomicBert", BERT_SIZES, {}),
    "modernbert": (
        "ModernBert",
        {**BERT_SIZES, "num_hidden_layers": 4, "local_attention": 16, "norm_bias": True, "attention_bias": True, "mlp_bias": True},
        {},
    ),
    "modernbert-bf16": ("ModernBert", {**BERT_SIZES, "num_hidden_layers": 4, "local_attention": 30}, {"dtype": torch.bfloat16}),
    "qwen3-divided": ("Qwen3", {**DECODER_SIZES, "num_hidden_layers": 2}, {"max_shard_size": "40KB"}),
    "gemma3": (
        "Gemma3Text",
        {**GEMMA, "num_hidden_layers": 4, "sliding_window_pattern": 3, "use_bidirectional_attention": True},
        {},
    ),
    "gemma3-causal": ("Gemma3Text", {**GEMMA, "num_hidden_layers": 2, "sliding_window_pattern": 2, "num_key_value_heads": 1}, {}),
}


def tokenizer() -> Tokenizer:
    vocabulary = {token: index for index, token in enumerate(SPECIAL + WORDS)}
    made = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = BertNormalizer(lowercase=True)
    made.pre_tokenizer = BertPreTokenizer()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(SPECIAL)
    return made


def model(kind: str, settings: dict) -> torch.nn.Module:
    torch.manual_seed(1)
    configuration = getattr(transformers, f"{kind}Config")(**{**SHARED, **settings})
    made = getattr(transformers, f"{kind}Model")(configuration).eval()
    made.set_attn_implementation("eager")
    with torch.no_grad():
        for parameter in made.parameters():
            # Gains and biases that are ones and zeros would hide mistakes.
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
            else:
                parameter.copy_(torch.randn_like(parameter) * 0.2)
    return made


def main() -> None:
    words = random.Random(3)
    texts = [" ".join(words.choice(WORDS) for _ in range(length - 2)) for length in LENGTHS]
    made = tokenizer()
    golden = {}
    for name, (kind, settings, saving) in FAMILIES.items():
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        encoder = model(kind, settings)
        dtype = saving.pop("dtype", None)
        if dtype:
            # The vectors are those of the rounded weights, computed in f32. The angles of positions are not rounded.
            with torch.no_grad():
                for parameter in encoder.parameters():
                    parameter.copy_(parameter.to(dtype))
        copy.deepcopy(encoder).to(dtype or torch.float32).save_pretrained(folder, **saving)
        made.save(str(folder / "tokenizer.json"))
        rows = []
        for text in texts:
            with torch.inference_mode():
                states = encoder(input_ids=torch.tensor([made.encode(text).ids])).last_hidden_state[0]
            rows.append(base64.b64encode(states.mean(dim=0).numpy().astype("<f4").tobytes()).decode())
        golden[name] = rows
    (HERE / "golden.json").write_text(json.dumps({"texts": texts, "vectors": golden}, indent=1) + "\n")


if __name__ == "__main__":
    main()
