"""Makes a family's folder in the layout of Hugging Face and Sentence Transformers, with random weights."""

import json
import shutil
from pathlib import Path

import families_words
import torch
import transformers
from families_models import LONGEST, Family


def encoder(family: Family) -> torch.nn.Module:
    """The same for the same version of torch."""
    torch.manual_seed(1)
    settings = getattr(transformers, f"{family.kind}Config")(**family.settings())
    made = getattr(transformers, f"{family.kind}Model")(settings).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            # As large as keeps the values of one layer in the next, so that vectors of different texts differ. Gains
            # that are all ones, and biases that are all zeros, would hide mistakes.
            numbers = torch.randn_like(parameter)
            if parameter.dim() == 1:
                parameter.copy_(0.1 * numbers + (1 if name.endswith("weight") else 0))
            elif "embed" in name:
                # Positions and segments are the same in every text, and must not outweigh the words.
                parameter.copy_(numbers * (0.1 if "position" in name or "token_type" in name else 0.7))
            else:
                parameter.copy_(numbers / parameter.shape[1] ** 0.5)
    return made


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def make(family: Family, folder: Path) -> None:
    """Replaces the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    encoder(family).to(getattr(torch, family.dtype)).save_pretrained(folder)
    families_words.tokenizer(family.kind).save(str(folder / "tokenizer.json"))
    pooling = {"word_embedding_dimension": family.hidden, "include_prompt": True}
    keys = {"cls": "cls_token", "mean": "mean_tokens", "lasttoken": "lasttoken"}
    pooling |= {f"pooling_mode_{key}": mode == family.pooling for mode, key in keys.items()}
    (folder / "1_Pooling").mkdir()
    write_json(folder / "1_Pooling" / "config.json", pooling)
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    write_json(
        folder / "modules.json",
        [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for index, (path, kind) in enumerate(modules)
        ],
    )
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": LONGEST, "do_lower_case": False})


class Pooled(torch.nn.Module):
    """Ids [n, length] of texts that are equally long, so nothing is masked, to vectors of unit length [n, hidden]."""

    def __init__(self, encoder: torch.nn.Module, pooling: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        states = self.encoder(input_ids=input_ids).last_hidden_state
        if self.pooling == "mean":
            row = states.mean(dim=1)
        else:
            row = states[:, 0] if self.pooling == "cls" else states[:, -1]
        return torch.nn.functional.normalize(row, dim=-1)


def read(family: Family, folder: Path, attention: str) -> Pooled:
    """In f32, whatever the folder stores. `attention` is "sdpa" or "eager": how it appears to an exporter."""
    kind = getattr(transformers, f"{family.kind}Model")
    loaded = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention)
    # A cache of keys and values would only be more outputs.
    loaded.config.use_cache = False
    return Pooled(loaded, family.pooling).eval()
