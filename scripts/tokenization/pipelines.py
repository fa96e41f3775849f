"""Tokenizers beyond kinds.py: larger ones, as SentencePiece models become them, and random combinations of all steps."""

import io
import json
import random
import re
from functools import cache
from pathlib import Path

import kinds
import sentencepiece
from kinds import CL100K, GPT2, O200K, QWEN
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.pre_tokenizers import ByteLevel, Metaspace, Split

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SYMBOLS = [f"<unused{number}>" for number in range(60)] + ["[@BOS@]", "\n\n", "<b>", "</b>", "user defined"]


@cache
def sentencepiece_model(entries: int, kind: str, rule: str, byte_fallback: bool) -> bytes:
    out = io.BytesIO()
    # SentencePiece leaves out what is longer than this.
    rows = (row.replace("\n", " ")[:2000] for row in kinds.corpus())
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=rows, model_writer=out, vocab_size=entries, model_type=kind, normalization_rule_name=rule,
        byte_fallback=byte_fallback, user_defined_symbols=SYMBOLS, character_coverage=0.995, hard_vocab_limit=False,
        input_sentence_size=60_000, shuffle_input_sentence=True, minloglevel=2)
    return out.getvalue()


def converted(entries: int, kind: str, rule: str, byte_fallback: bool, scheme: str) -> Tokenizer:
    """The tokenizer of a SentencePiece model as `transformers` makes it, step by step."""
    data = sentencepiece_model(entries, kind, rule, byte_fallback)
    processor = sentencepiece.SentencePieceProcessor(model_proto=data)
    size = processor.get_piece_size()
    pieces = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(size)]
    if kind == "unigram":
        model = models.Unigram(pieces, unk_id=processor.unk_id(), byte_fallback=byte_fallback)
    else:
        plain = {piece: (-score, i) for i, (piece, score) in enumerate(pieces) if i > 2 and not processor.is_byte(i) and piece not in SYMBOLS}
        merges = sorted(
            (*rank, piece[:at], piece[at:]) for piece, rank in plain.items() for at in range(1, len(piece))
            if piece[:at] in plain and piece[at:] in plain)
        model = models.BPE(
            {piece: i for i, (piece, _) in enumerate(pieces)}, [merge[2:] for merge in merges], unk_token="<unk>", fuse_unk=True,
            byte_fallback=byte_fallback, ignore_merges=True)
    tokenizer = Tokenizer(model)
    n, p = normalizers, pre_tokenizers
    steps = [n.Replace(Regex(r"\A +| +\z"), ""), n.Replace(Regex(" {2,}"), " "), n.Replace(" ", "▁")]
    if rule != "identity":
        steps.insert(0, n.Precompiled(kinds.charsmap_of(data)))
    if scheme == "always":
        steps.append(n.Replace(Regex(r"\A▁"), "▁▁"))
    tokenizer.normalizer = n.Sequence(steps)
    pattern = "|".join(re.escape(piece) for piece in sorted(SYMBOLS, key=len, reverse=True))
    tokenizer.pre_tokenizer = p.Sequence([Metaspace(prepend_scheme=scheme, split=False), Split(Regex(pattern), "isolated")])
    tokenizer.add_special_tokens(["<s>", "</s>", "<unk>"])
    tokenizer.post_processor = kinds.template("<s> $A </s>", "<s> $A </s> $B:1 </s>:1", [("<s>", 1), ("</s>", 2)])
    return tokenizer


def larger(entries: int) -> dict[str, Tokenizer]:
    n, p = normalizers, pre_tokenizers
    found = {}
    plain = ByteLevel(add_prefix_space=False, use_regex=False)
    for name, pattern in [("gpt2", GPT2), ("qwen", QWEN), ("llama3", CL100K), ("o200k", O200K)]:
        tokenizer = kinds.byte_level(entries // 3, p.Sequence([Split(Regex(pattern), "isolated"), plain]), n.NFC() if name == "qwen" else None)
        tokenizer.add_tokens([AddedToken("<|user|>", special=True), AddedToken("tool call", normalized=True, single_word=True)])
        found[f"{name}-split"] = tokenizer
    for scheme in ["always", "first", "never"]:
        for splits in [True, False]:
            tokenizer = Tokenizer(models.Unigram(
                [(token, 0.0) for token in SPECIAL[:4]] + kinds.with_bytes(kinds.pieces_of(kinds.sentencepiece_model(entries))) + [("<mask>", 0.0)],
                unk_id=3, byte_fallback=True))
            tokenizer.normalizer = n.Sequence([n.NFKC(), n.Replace(Regex(r"\s{2,}"), " ")])
            tokenizer.pre_tokenizer = Metaspace(prepend_scheme=scheme, split=splits)
            tokenizer.add_special_tokens(SPECIAL[:4] + [AddedToken("<mask>", lstrip=True, special=True)])
            tokenizer.post_processor = kinds.template("<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)])
            found[f"bytes-{scheme}-{'split' if splits else 'whole'}"] = tokenizer
    for kind in ["unigram", "bpe"]:
        for rule in ["nmt_nfkc", "nfkc_cf", "identity"]:
            for byte_fallback in [True, False]:
                for scheme in ["always", "first"] if rule == "nmt_nfkc" else ["always"]:
                    name = f"spm-{kind}-{rule}-{'bytes' if byte_fallback else 'unk'}-{scheme}"
                    found[name] = converted(entries // 2, kind, rule, byte_fallback, scheme)
    bert = n.BertNormalizer
    for name, normalizer, pre_tokenizer in [
        ("uncased", n.Sequence([n.NFD(), n.Lowercase(), n.StripAccents()]), p.BertPreTokenizer()),
        ("accents", bert(lowercase=True, strip_accents=False), p.BertPreTokenizer()),
        ("chinese", bert(handle_chinese_chars=False, clean_text=False), p.Whitespace()),
        ("japanese", n.Sequence([n.NFKC(), bert(lowercase=False, strip_accents=False)]), p.BertPreTokenizer()),
        ("metaspace", n.NFKC(), Metaspace()),
        ("sentences", n.Sequence([n.Nmt(), n.NFKC(), n.Strip(), n.Lowercase()]), p.Sequence([p.WhitespaceSplit(), p.Digits(True)])),
    ]:
        found[f"wordpiece-{name}"] = kinds.word_piece(entries, normalizer, pre_tokenizer)
        found[f"wordpiece-{name}"].post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return found


def write(folder: Path, count: int, seed: int):
    """Writes tokenizers of random steps with small vocabularies."""
    source = random.Random(seed)
    n, p = normalizers, pre_tokenizers
    small, charsmap = kinds.kinds(500)
    precompiled = n.Precompiled(charsmap)

    def pattern():
        return source.choice([
            Regex(r"\s+"), Regex(r"\p{L}+"), Regex(r"[aeiou]{1,2}"), Regex(r"\w+|[^\w\s]+"), Regex(r"(?i:the|and)\b"), Regex(r"\p{Lu}"),
            Regex(r"(?<!\d)\d{1,3}(?=(?:\d{3})*\b)"), Regex(r"\p{Han}|\p{Hiragana}+|\p{Katakana}+"), Regex(r"^.|.$"), Regex("▁"), Regex(r"\n+?"),
            Regex(r"[\p{P}\p{S}&&[^'▁]]"), Regex(r" ?[^\s]+|\s+(?!\S)"), " ", "▁", "a", "e ", "日", "Ġ", "\n", Regex(GPT2), Regex(O200K)])

    def normalizer():
        return source.choice([
            n.NFC, n.NFD, n.NFKC, n.NFKD, n.Lowercase, n.StripAccents, n.Nmt, n.ByteLevel, lambda: precompiled, lambda: precompiled,
            lambda: n.Strip(source.random() < 0.5, source.random() < 0.5), lambda: n.Prepend(source.choice(["▁", "xy", " ", "é"])),
            lambda: n.BertNormalizer(source.random() < 0.5, source.random() < 0.5, source.choice([None, True, False]), source.random() < 0.5),
            lambda: n.Replace(pattern(), source.choice([" ", "▁", "", "ab", "é "])), lambda: n.Replace(" ", "▁")])()

    def pre_tokenizer():
        behavior = source.choice(["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"])
        return source.choice([
            p.BertPreTokenizer, p.Whitespace, p.WhitespaceSplit, lambda: p.Punctuation(behavior), lambda: p.Digits(source.random() < 0.5),
            lambda: p.CharDelimiterSplit(source.choice(" a▁")), lambda: p.FixedLength(source.randrange(1, 9)),
            lambda: Metaspace(source.choice("▁▁▁_"), source.choice(["always", "first", "never"]), source.random() < 0.6),
            lambda: ByteLevel(source.random() < 0.5, use_regex=source.random() < 0.7), lambda: Split(pattern(), behavior, source.random() < 0.3)])()

    contents = ["<x>", "ab", "the", "é", "e\u0301", " a", "a ", "  ", "[MASK]", "日本", "\n", "A", "▁the", "ing", "Ĳ", "ﬁ", "don't", "-"]
    for number in range(count):
        name = source.choice(list(small))
        data = json.loads(small[name].to_str())
        data["added_tokens"] = [token for token in data["added_tokens"] if source.random() < 0.8 or token["special"]]
        tokenizer = Tokenizer.from_str(json.dumps(data))
        if source.random() < 0.8:
            steps = [normalizer() for _ in range(source.randrange(4))]
            tokenizer.normalizer = n.Sequence(steps) if len(steps) != 1 else steps[0]
        if source.random() < 0.8:
            steps = [pre_tokenizer() for _ in range(source.randrange(1, 4))]
            tokenizer.pre_tokenizer = p.Sequence(steps) if len(steps) != 1 else steps[0]
        for content in source.sample(contents, source.randrange(5)):
            flags = {flag: source.random() < 0.3 for flag in ["single_word", "lstrip", "rstrip", "normalized"]}
            token = AddedToken(content, special=source.random() < 0.3, **flags)
            (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
        if source.random() < 0.3:
            tokenizer.post_processor = processors.ByteLevel(
                trim_offsets=True, add_prefix_space=source.random() < 0.5)
        target = folder / f"{number:03d}-{name}"
        target.mkdir(parents=True)
        tokenizer.save(str(target / "tokenizer.json"))
