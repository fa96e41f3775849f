"""A model folder in the layout of Hugging Face, as the peers of embed.py read it: settings, weights, tokenizer."""

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The F32 tensors of a safetensors file by name."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        start, stop = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[start:stop], dtype="<f4").reshape(entry["shape"])
    return tensors


class Layer:
    """The weights of one layer. Matrices are [outputs, inputs], as the file has them."""

    def __init__(self, weights: dict[str, np.ndarray], index: int) -> None:
        prefix = f"encoder.layer.{index}."

        def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
            return weights[f"{prefix}{name}.weight"], weights[f"{prefix}{name}.bias"]

        projections = [pair(f"attention.self.{name}") for name in ("query", "key", "value")]
        # One product for query, key and value is faster than three, so every peer gets it.
        self.qkv = tuple(np.concatenate(parts) for parts in zip(*projections))
        self.attention = pair("attention.output.dense")
        self.attention_norm = pair("attention.output.LayerNorm")
        self.inner = pair("intermediate.dense")
        self.outer = pair("output.dense")
        self.outer_norm = pair("output.LayerNorm")


class BertFolder:
    """A BERT encoder whose vectors are means over the tokens, divided by their norm."""

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        self.hidden = int(config["hidden_size"])
        self.inner = int(config["intermediate_size"])
        self.heads = int(config["num_attention_heads"])
        self.epsilon = float(config["layer_norm_eps"])
        self.layer_count = int(config["num_hidden_layers"])
        self.limit = int(json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"])
        self.tokenizer_file = folder / "tokenizer.json"

        weights = read_safetensors(folder / "model.safetensors")
        self.words = weights["embeddings.word_embeddings.weight"]
        # There are no segment ids as input: every token is in segment 0, so its row is added to each position's row.
        self.positions = (
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self.norm = (weights["embeddings.LayerNorm.weight"], weights["embeddings.LayerNorm.bias"])
        self.layers = [Layer(weights, index) for index in range(self.layer_count)]

    @property
    def flop_per_token(self) -> int:
        """Of the products with weights alone: multiplications and additions. Attention's own depend on the length."""
        return 2 * self.layer_count * (4 * self.hidden**2 + 2 * self.hidden * self.inner)

    def tokenizer(self) -> Tokenizer:
        """Truncates as the model does, and does not pad."""
        tokenizer = Tokenizer.from_file(str(self.tokenizer_file))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.limit)
        return tokenizer
