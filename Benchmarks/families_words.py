"""Words that are one token each, tokenizers that know them, and texts of exactly as many tokens as asked for."""

import json
import random
from pathlib import Path

from families_models import VOCABULARY
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

WORD_COUNT = 3_600

SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnpqrstvwxz" for vowel in "aeiou"]
WORDS = random.Random(1).sample([first + second for first in SYLLABLES for second in SYLLABLES], WORD_COUNT)

BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
END = "<|endoftext|>"


def word_piece() -> Tokenizer:
    """As BERT has it: lower case, [CLS] and [SEP] around a text."""
    tokens = BERT_TOKENS + [chr(code) for code in range(33, 127) if not chr(code).isupper()] + WORDS
    made = Tokenizer(models.WordPiece({token: index for index, token in enumerate(tokens)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(BERT_TOKENS)
    made.post_processor = enclosed(made)
    made.decoder = decoders.WordPiece(prefix="##")
    return made


def byte_level(special: list[str]) -> Tokenizer:
    """Bytes merged to syllables, and syllables to words, with and without the space before them."""
    space = "Ġ"
    # A merge that stands earlier is applied earlier, so that both syllables are there when the word is merged.
    merges = [(syllable[0], syllable[1]) for syllable in SYLLABLES]
    merges += [(space, syllable) for syllable in SYLLABLES]
    merges += [(word[:2], word[2:]) for word in WORDS]
    merges += [(space + word[:2], word[2:]) for word in WORDS]
    tokens = special + sorted(pre_tokenizers.ByteLevel.alphabet()) + [first + second for first, second in merges]
    made = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.add_special_tokens(special)
    made.decoder = decoders.ByteLevel()
    return made


def enclosed(tokenizer: Tokenizer) -> processors.TemplateProcessing:
    marks = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    return processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", marks)


def tokenizer(kind: str) -> Tokenizer:
    """Of the kind that the family has."""
    if kind == "Bert":
        made = word_piece()
    elif kind == "ModernBert":
        made = byte_level(BERT_TOKENS)
        made.post_processor = enclosed(made)
    else:
        made = byte_level([END])
        last = processors.TemplateProcessing(f"$A {END}", f"$A {END} $B {END}", [(END, made.token_to_id(END))])
        made.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), last])
    assert made.get_vocab_size() <= VOCABULARY
    return made


class Texts:
    """Texts for the model in a folder, and the ids of their tokens."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.added = len(self.tokenizer.encode(WORDS[0]).ids) - 1

    def make(self, length: int, count: int, seed: int) -> tuple[list[str], list[list[int]]]:
        """`count` different texts of `length` tokens, with those that the tokenizer adds."""
        chooser = random.Random(json.dumps([length, seed]))
        made: dict[str, None] = {}
        while len(made) < count:
            made[" ".join(chooser.choices(WORDS, k=length - self.added))] = None
        texts = list(made)
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        if any(len(row) != length for row in ids):
            raise SystemExit(f"tokenizer.json does not make {length} tokens of {length - self.added} words")
        return texts, ids
