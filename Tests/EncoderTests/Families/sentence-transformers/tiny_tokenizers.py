"""Tiny tokenizers of the kinds that the families of encoders have, trained on a few lines in many scripts."""

import io
import json
import struct
from collections import Counter
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LINES = [
    "The harbour lights went out one after another, and the last ferry turned back.",
    "A query about trains: when does the first one leave for the coast?",
    "She measured twice, cut once, and still the shelf was 3.5 cm too short!",
    "search_query: how warm is the sea in May? search_document: the sea is cold until June.",
    "Le café près du marché ouvre à sept heures; l'été, il ferme très tard.",
    "Über die Brücke führt ein schmaler Weg zu den Häusern am Fluß.",
    "El niño compró un paraguas porque mañana lloverá todo el día.",
    "Поезд на север уходит вечером, а билеты почти закончились.",
    "Το πλοίο φεύγει το πρωί από το μικρό λιμάνι.",
    "朝の電車はとても混んでいるので、早めに家を出ます。",
    "東京の冬は晴れの日が多く、空気が乾いている。",
    "カタカナの単語とひらがなの文を、一緒に並べてみる。",
    "今天的天气很好，我们去公园散步吧。",
    "오늘은 날씨가 좋아서 공원에 갔습니다.",
    "القطار الأول يغادر في الصباح الباكر.",
    "הרכבת הראשונה יוצאת בבוקר.",
    "रेलगाड़ी सुबह जल्दी निकलती है।",
    "รถไฟขบวนแรกออกตอนเช้า",
    "def area(width, height): return width * height  # 12 * 7 = 84",
]
# The rules of XLM-R's character map would take 300 KB of base64; these few show that a map is applied.
CHARACTER_RULES = {"ﬁ": "fi", "½": "1⁄2", "①": "1", "Ａ": "A", "ｶ": "カ", "㍿": "株式会社"}
CHARACTER_RULES |= {"\u3000": " ", "\t": " ", "\u200b": ""}

BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FAIRSEQ_TOKENS = ["<s>", "<pad>", "</s>", "<unk>"]


def surround(before: str, after: str, ids: dict[str, int], second_type: int) -> processors.TemplateProcessing:
    """`before A after` for one text, `before A after B after` for two."""
    return processors.TemplateProcessing(
        single=f"{before} $A {after}",
        pair=f"{before} $A {after} $B:{second_type} {after}:{second_type}",
        special_tokens=[(before, ids[before]), (after, ids[after])],
    )


def word_piece(
    vocabulary: int, begin: str = "[CLS]", end: str = "[SEP]", special: list[str] | None = None
) -> Tokenizer:
    """Lower case, words of pieces: BERT, DistilBERT, NomicBert; with other special tokens MPNet."""
    tokenizer = Tokenizer(models.WordPiece(word_pieces(vocabulary, special or BERT_TOKENS), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = special or BERT_TOKENS
    tokenizer.add_special_tokens(special)
    ids = {token: tokenizer.token_to_id(token) for token in special}
    tokenizer.post_processor = (
        surround(begin, end, ids, 1)
        if begin == "[CLS]"
        else processors.RobertaProcessing((end, ids[end]), (begin, ids[begin]))
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def word_pieces(vocabulary: int, special: list[str]) -> dict[str, int]:
    """Special tokens, characters, then the commonest pieces of words. The trainer's own choice varies from run to run."""
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for line in LINES:
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(line)):
            counts.update(word[:length] for length in range(2, len(word) + 1))
            counts.update("##" + word[start : start + length] for start in range(1, len(word)) for length in (2, 3, 4))
    characters = sorted({character for line in LINES for character in normalizer.normalize_str(line)} - {" "})
    pieces = special + characters + ["##" + character for character in characters if character.isalpha()]
    pieces += sorted(counts, key=lambda piece: (-counts[piece], piece))
    return {piece: number for number, piece in enumerate(list(dict.fromkeys(pieces))[:vocabulary])}


def byte_level(vocabulary: int, kind: str) -> Tokenizer:
    """Bytes merged to pieces; `kind` is roberta, modernbert or qwen, which differ in how a text is split and enclosed."""
    tokenizer = Tokenizer(models.BPE())
    special = {
        "roberta": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        "modernbert": BERT_TOKENS,
        "qwen": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    }[kind]
    if kind != "roberta":
        tokenizer.normalizer = normalizers.NFC()
    if kind == "qwen":
        pattern = (
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(pattern), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    ids = {token: tokenizer.token_to_id(token) for token in special}
    if kind == "roberta":
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    elif kind == "modernbert":
        tokenizer.post_processor = surround("[CLS]", "[SEP]", ids, 0)
    else:
        end = "<|endoftext|>"
        tokenizer.post_processor = processors.Sequence(
            [
                processors.ByteLevel(trim_offsets=False),
                processors.TemplateProcessing(
                    single=f"$A {end}", pair=f"$A {end} $B {end}", special_tokens=[(end, ids[end])]
                ),
            ]
        )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def gemma(vocabulary: int) -> Tokenizer:
    """Characters merged to pieces; what no piece has is spelled in bytes."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special + [f"<0x{byte:02X}>" for byte in range(256)],
        max_token_length=8,
        show_progress=False,
    )
    # Whole lines are one word for this kind, so words are given to the trainer to keep the pieces short.
    tokenizer.train_from_iterator([" " + word for line in LINES for word in line.split(" ")], trainer)
    stored = json.loads(tokenizer.to_str())
    # The trainer made special tokens of the bytes, which a text could then contain by name. They are plain pieces.
    stored["added_tokens"] = [entry for entry in stored["added_tokens"] if entry["content"] in special]
    tokenizer = Tokenizer.from_str(json.dumps(stored))
    tokenizer.post_processor = surround("<bos>", "<eos>", {"<bos>": 2, "<eos>": 1}, 0)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def unigram(vocabulary: int, scratch: Path) -> Tokenizer:
    """SentencePiece's unigram model as XLM-R and CamemBERT use it."""
    rules = scratch / "rules.tsv"
    rules.write_text(
        "".join(
            " ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n"
            for source, target in sorted(CHARACTER_RULES.items())
        )
    )
    stored = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_writer=stored,
        vocab_size=vocabulary,
        hard_vocab_limit=False,
        normalization_rule_tsv=str(rules),
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    fields = protobuf(stored.getvalue())
    pieces = [{number: value for number, value in protobuf(piece)} for number, piece in fields if number == 1]
    settings = dict(protobuf(next(value for number, value in fields if number == 3)))
    # SentencePiece's <unk>, <s> and </s> are the first three; fairseq has four of its own.
    vocabulary_list = [(token, 0.0) for token in FAIRSEQ_TOKENS]
    vocabulary_list += [(piece[1].decode(), float(piece[2])) for piece in pieces[3:]] + [("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary_list, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Precompiled(settings[2])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens(FAIRSEQ_TOKENS + [AddedToken("<mask>", lstrip=True)])
    return tokenizer


def protobuf(data: bytes) -> list[tuple[int, object]]:
    """The fields of a message with their numbers: bytes, whole numbers, and f32 for fields of four bytes."""
    def varint(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = data[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at

    fields: list[tuple[int, object]] = []
    at = 0
    while at < len(data):
        key, at = varint(at)
        if key & 7 == 0:
            value, at = varint(at)
        elif key & 7 == 2:
            length, at = varint(at)
            value, at = data[at : at + length], at + length
        elif key & 7 == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            value, at = data[at : at + 8], at + 8
        fields.append((key >> 3, value))
    return fields
