#!/usr/bin/env python3
"""Writes tiny encoders with random weights, one of each family, and what the original libraries make of them.

    python -m venv VENV && VENV/bin/pip install -r Tests/EncoderTests/Families/sentence-transformers/requirements.txt
    VENV/bin/python Tests/EncoderTests/Families/sentence-transformers/generate.py [NAME...]

Each folder beside this file is a model in the layout of Hugging Face and sentence-transformers. Everything is seeded:
the same versions write the same bytes. The values are computed in f32 with eager attention from the stored weights, by
sentence-transformers, one text after another. golden.json has:

    libraries       the versions
    kind            "embed" or "rerank"
    ids             {"first": F, "count": C}: sequences have the ids F, ..., F + C - 1, none of which is a special token
    dimension       values of a vector ("embed")
    texts           "embed": [{"text", "prompt", "prompt_tokens", "ids", "vector"}]
                      prompt          the text put in front (prompts of config_sentence_transformers.json), or null
                      prompt_tokens   how many leading ids the prompt has, with the special token before it; they are
                                      not pooled where include_prompt is false
                      ids             of prompt and text with the special tokens, cut to the limit of
                                      sentence_bert_config.json, by `tokenizers` from tokenizer.json
                      vector          of the whole model with Dense and Normalize: f32, little-endian, in base64
    activation      "rerank": what turns logits into scores, by its name in torch: Sigmoid or Identity
    pairs           "rerank": [{"query", "document", "ids", "types", "logits", "scores"}]
                      types           token types as the tokenizer gives them; only BERT reads them
                      scores          logits after the activation
    sequences       [{"length", "seed", "vector"}] or [{"length", "seed", "logits"}]: of ids without special tokens.
                    Token types are 0. The ids follow from the seed:
                      state = seed
                      for each token: state = (state * 1664525 + 1013904223) mod 2^32
                                      id = F + (state >> 16) mod C

Static encoders have no special tokens, and no limit but one that tokenizer.json states; the vector of no tokens is all
zeros.
"""

import json
import shutil
import sys
import tempfile
import zlib
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

import families
import golden

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def seeded(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Normal numbers that depend on the name alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))


def fill(module: torch.nn.Module, name: str) -> None:
    """Gives every parameter numbers that are large enough to matter: norms are not all ones, biases not all zeros."""
    norms_around_zero = "gemma" in name
    with torch.no_grad():
        for key, value in module.named_parameters():
            numbers = seeded(f"{name} {key}", tuple(value.shape))
            if value.dim() == 1 and key.endswith("weight"):
                value.copy_(0.3 * numbers + (0 if norms_around_zero else 1))
            elif value.dim() == 1:
                value.copy_(0.2 * numbers)
            elif "embed" in key or "relative_attention_bias" in key:
                value.copy_(0.7 * numbers)
            else:
                value.copy_(1.4 * numbers / value.shape[1] ** 0.5)


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def write_tensors(folder: Path, tensors: dict[str, torch.Tensor], shards: int) -> None:
    metadata = {"format": "pt"}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata)
        return
    names = sorted(tensors)
    where = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        save_file(part, folder / file, metadata)
        where |= {name: file for name in part}
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}
    write_json(folder / "model.safetensors.index.json", index)


def write_encoder(model: families.Model, folder: Path, scratch: Path) -> int:
    """Writes config.json and the weights. Returns how wide a token's hidden state is."""
    settings = model.settings | {"vocab_size": model.tokenizer.get_vocab_size(), "torch_dtype": "float32"}
    if model.labels:
        settings["id2label"] = {str(label): f"LABEL_{label}" for label in range(model.labels)}
        settings["label2id"] = {f"LABEL_{label}": label for label in range(model.labels)}
        kind = {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "modernbert": "ModernBert"}
        settings["architectures"] = [kind[settings["model_type"]] + "ForSequenceClassification"]
    write_json(folder / "config.json", settings)
    config = AutoConfig.from_pretrained(folder)
    auto = AutoModelForSequenceClassification if model.labels else AutoModel
    network = auto.from_config(config, attn_implementation="eager").eval()
    fill(network, model.name)
    # transformers renames some tensors on loading, and gives them their names in files back on saving.
    network.save_pretrained(scratch / "saved")
    tensors = load_file(scratch / "saved" / "model.safetensors")
    tensors = {model.prefix + name: tensor.to(DTYPES[model.dtype]) for name, tensor in tensors.items()}
    write_tensors(folder, tensors, model.shards)
    if model.save_settings:
        shutil.copyfile(scratch / "saved" / "config.json", folder / "config.json")
    return config.hidden_size


def write_static(model: families.Model, folder: Path) -> None:
    rows = seeded(model.name, (model.tokenizer.get_vocab_size(), 32))
    if model.settings:
        write_json(folder / "config.json", model.settings)
        save_file({"embeddings": rows}, folder / "model.safetensors")
    else:
        (folder / "0_StaticEmbedding").mkdir()
        save_file({"embedding.weight": rows}, folder / "0_StaticEmbedding" / "model.safetensors")


def write_modules(model: families.Model, folder: Path, width: int) -> None:
    """Writes modules.json and a folder for each module behind the encoder."""
    first = ("0_StaticEmbedding" if not model.settings else "", "StaticEmbedding")
    modules = [("", "Transformer") if model.pooling else first]
    if model.pooling:
        modes = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "weightedmean": "weightedmean_tokens"}
        modes |= {"mean_sqrt_len_tokens": "mean_sqrt_len_tokens", "lasttoken": "lasttoken"}
        pooling = {"word_embedding_dimension": width}
        pooling |= {f"pooling_mode_{key}": mode in model.pooling for mode, key in modes.items()}
        pooling["include_prompt"] = model.include_prompt
        if model.new_pooling_settings:
            modes_set = model.pooling[0] if len(model.pooling) == 1 else model.pooling
            pooling = {
                "embedding_dimension": width,
                "pooling_mode": modes_set,
                "include_prompt": model.include_prompt,
            }
        (folder / "1_Pooling").mkdir()
        write_json(folder / "1_Pooling" / "config.json", pooling)
        modules.append(("1_Pooling", "Pooling"))
        width *= len(model.pooling)
    for outputs, activation, bias in model.dense:
        path = f"{len(modules)}_Dense"
        (folder / path).mkdir()
        settings = {"in_features": width, "out_features": outputs, "bias": bias, "activation_function": activation}
        write_json(folder / path / "config.json", settings)
        layer = torch.nn.Linear(width, outputs, bias)
        fill(layer, f"{model.name} {path}")
        tensors = {f"linear.{name}": value.detach().contiguous() for name, value in layer.named_parameters()}
        save_file(tensors, folder / path / "model.safetensors", {"format": "pt"})
        modules.append((path, "Dense"))
        width = outputs
    if model.normalize:
        modules.append((f"{len(modules)}_Normalize", "Normalize"))
    listed = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (path, kind) in enumerate(modules)
    ]
    write_json(folder / "modules.json", listed)
    if model.sentence_settings:
        write_json(folder / "config_sentence_transformers.json", model.sentence_settings)
    if model.pooling:
        limits = {"max_seq_length": model.limit, "do_lower_case": False}
        write_json(folder / "sentence_bert_config.json", limits)


def write_tokenizer(model: families.Model, folder: Path) -> None:
    place = folder if model.settings else folder / "0_StaticEmbedding"
    model.tokenizer.save(str(place / "tokenizer.json"))
    if not model.tokenizer_class:
        return
    known = model.tokenizer.get_vocab()
    special: dict[str, object] = {}
    for key, candidates in {
        "bos_token": ["<s>", "<bos>"],
        "eos_token": ["</s>", "<eos>", "<|endoftext|>"],
        "unk_token": ["[UNK]", "<unk>"],
        "sep_token": ["[SEP]", "</s>"],
        "pad_token": ["[PAD]", "<pad>", "<|endoftext|>"],
        "cls_token": ["[CLS]", "<s>"],
        "mask_token": ["[MASK]", "<mask>"],
    }.items():
        found = next((token for token in candidates if token in known), None)
        if found is not None:
            special[key] = found
    extra: dict[str, object] = {"tokenizer_class": model.tokenizer_class, "model_max_length": model.limit}
    if model.tokenizer_class.startswith(("Bert", "Distil", "MPNet")):
        extra["do_lower_case"] = True
    write_json(folder / "tokenizer_config.json", special | extra)
    write_json(folder / "special_tokens_map.json", special)


def main(wanted: list[str]) -> None:
    torch.set_num_threads(1)
    here = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as scratch:
        for model in families.models(Path(scratch)):
            if wanted and model.name not in wanted:
                continue
            folder = here / model.name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            width = write_encoder(model, folder, Path(scratch)) if model.tokenizer_class else 32
            if not model.tokenizer_class:
                write_static(model, folder)
            write_tokenizer(model, folder)
            if not model.labels:
                write_modules(model, folder, width)
            golden.write(model, folder)
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            print(f"{model.name}: {size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
