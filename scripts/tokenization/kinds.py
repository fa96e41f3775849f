"""Makes small tokenizers of all usual kinds, and writes what the `tokenizers` library makes of texts with them.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    python scripts/tokenization/kinds.py Tests/TokenizationTests/Fixtures

writes kinds.json and nmt_nfkc.txt, which KindTests.swift reads.
"""

import base64
import io
import json
import random
import re
import sys

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers.pre_tokenizers import ByteLevel, Metaspace, Split

LANGUAGES = """All human beings are born free and equal in dignity and rights. They're endowed with reason; we'll see 1234567 x.
すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。ｶﾀｶﾅとＡＢＣ１２３、ガギグゲゴ「括弧」
人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。
모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았다.
Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены разумом и совестью.
يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا ١٢٣.
Tous les êtres humains naissent libres et égaux en dignité et en droits. L'œuvre n'est pas finie.
Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền.
Alle Menschen sind frei und gleich an Würde und Rechten geboren. Straße ÄÖÜ İstanbul ẞ.
Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. ΣΊΣΥΦΟΣ
כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. שָׁלוֹם
सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।
มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ
সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে।
சகல மனிதர்களும் சுதந்திரமாகவே பிறக்கின்றனர்; அவர்கள் மதிப்பிலும் சமமானவர்கள்.
ყველა ადამიანი იბადება თავისუფალი და თანასწორი. Բոլոր մարդիկ ծնվում են ազատ ու հավասար։
ሰው፡ሁሉ፡ነጻና፡እኩል፡ኾኖ፡ይወለዳል። មនុស្សទាំងអស់កើតមកមានសេរីភាព លူတိုင်းသည် ལྷ་ས་
😀 😂🎉 👍🏽 👩‍👩‍👧 🇯🇵 ❤️ 🚀🚀🚀 “quoted” — dash… ½ №5 €100 ﬁne ①②③ ㌔ ™ x² ﷺ
def f(x): return {"a": [1, 2, 3], 'b': x**2 != 0}  # comment\n\tif (a && b) || !c { printf("%d\\n", i++); } <a href="http://x.y/z?q=1&r=2">
e\u0301te\u0301 A\u030a q\u0307\u0323 \u1100\u1161\u11a8 a\u0000b c\u200bd \ufeffe\u00ad \u0085 \u2028 \u3000全角　空白 tab\there  two   spaces\r\n\r\n end """
TEXTS = LANGUAGES.split("\n") + [
    "", " ", "  ", "\n", " \n ", "a", " a", "a ", "  a  b  ", "don't DON'T it'S we'LL 'ſ", "HELLOWorld camelCase ABCdef",
    "<s>", "a<s>b", "a <mask> b", "a<mask>", "  <mask>  <mask>x", "[MASK] [CLS]a[SEP]", "<unk>", "x<unk>y", "<0x41> <0xE3>",
    "<|endoftext|>a <|endoftext|>", "new    token\t\tnew", "newtoken a newtoken, Newtoken", "▁a ▁ b▁", "a▁▁b", "``q''",
    "x" * 120, "ab" * 300, "word " * 700, "日本語" * 100, "1234567890" * 12, " " * 50 + "a", "a" + " " * 50, "!" * 70,
    "\u0301a", "\u0301\u0301", "\u0600a \u0600\u0301", "\r\n\r", "a\r\nb\n\n\nc \n d", "\t \t", "ﬀ ﬃ ß ŉ ǰ", "ＡＢＣ　ｱｲｳﾞ", "각 각",
    "👩‍👩‍👧‍👦🏳️‍🌈🇯🇵🇫🇷", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠀀𠀁", "\ue000\U0010ffff\ufffd", "naïve café Ünïcödé", "A. B, C; D: E! F?", "3.14 1,000 ½ Ⅻ ٣",
    "ｶﾞｷﾞ", "ఆంధ్ర ക്ഷ", "Ǆ ǅ ǆ ŀ", "don’t “x”", "a‍b", "İ I ı i", "ΑΣ ΑΣΑ ς",
]

# Random texts: the code points of each pool are drawn from ranges. KindTests.swift draws the same.
POOLS = [
    [(0x20, 0x7E)],
    [(0x61, 0x7A), (0x20, 0x20)],
    [(0x30, 0x39), (0x20, 0x20), (0x2C, 0x2E), (0x660, 0x669), (0x2150, 0x2189)],
    [(0x09, 0x0D), (0x20, 0x20), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x2000, 0x200F), (0x2028, 0x202F), (0x3000, 0x3000)],
    [(0xC0, 0x24F), (0x1E00, 0x1EFF)],
    [(0x300, 0x36F), (0x61, 0x7A), (0x3099, 0x309C)],
    [(0x370, 0x3FF), (0x400, 0x52F), (0x1F00, 0x1FFF)],
    [(0x590, 0x6FF), (0x900, 0xDFF)],
    [(0xE00, 0xFFF), (0x1780, 0x17FF)],
    [(0x1100, 0x11FF), (0xAC00, 0xD7A3)],
    [(0x3000, 0x30FF), (0x4E00, 0x9FFF)],
    [(0xF900, 0xFFEF), (0x3200, 0x33FF)],
    [(0x1F300, 0x1F6FF), (0x200D, 0x200D), (0xFE0F, 0xFE0F), (0x1F1E6, 0x1F1FF)],
    [(0x00, 0x1F), (0x7F, 0xAD), (0x200B, 0x200F), (0xFEFF, 0xFEFF), (0xFFF0, 0xFFFF)],
    [(0x2010, 0x2BFF)],
    [(0x1D100, 0x1D7FF), (0x20000, 0x2FA1F), (0x10000, 0x1F2FF)],
    [(0x00, 0xD7FF), (0xE000, 0x10FFFF)],
    [(0xA640, 0xAB6F), (0x2C00, 0x2DFF)],
]
MASK = (1 << 64) - 1


class Numbers:
    """xorshift (Marsaglia 2003)."""

    def __init__(self):
        self.state = 0x9E3779B97F4A7C15

    def next(self, bound):
        x = self.state
        x ^= x << 13 & MASK
        x ^= x >> 7
        x ^= x << 17 & MASK
        self.state = x
        return (x >> 33) % bound


def random_texts(count):
    numbers = Numbers()

    def scalar(pool):
        low, high = pool[numbers.next(len(pool))]
        return chr(low + numbers.next(high - low + 1))

    texts = []
    for _ in range(count):
        main = POOLS[numbers.next(len(POOLS))]
        length = 1 + numbers.next(24)
        texts.append("".join(scalar(POOLS[numbers.next(len(POOLS))] if numbers.next(4) == 0 else main) for _ in range(length)))
    return texts


def fnv(values, start=0xCBF29CE484222325):
    for value in values:
        start = (start ^ value) * 0x100000001B3 & MASK
    return start


def places(text, encoding):
    ends = [0]
    for char in text:
        ends.append(ends[-1] + len(char.encode()))
    return [(ends[start], ends[stop]) for start, stop in encoding.offsets]


def numbers_of(text, encoding):
    values = [len(encoding.ids)]
    for token, (start, stop) in zip(encoding.ids, places(text, encoding)):
        values += [token, start, stop]
    return values


# What the tokenizers are trained on.
def corpus():
    rows = [line for line in LANGUAGES.split("\n")] * 3
    source = random.Random(7)
    words = " ".join(LANGUAGES.split("\n")).split()
    for _ in range(300):
        rows.append(" ".join(source.choice(words) for _ in range(12)))
    return rows


GPT2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
CL100K = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
QWEN = CL100K.replace("{1,3}", "")
O200K = "|".join([
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
    r"""\p{N}{1,3}""", r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""", r"""\s*[\r\n]+""", r"""\s+(?!\S)""", r"""\s+"""])
POSSESSIVE = r"""(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"""
DEEPSEEK = [
    r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""]
KIMI = r"""[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
CLIP = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


def template(single, pair, tokens):
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=tokens)


def sentencepiece_model(size):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=out, vocab_size=size, model_type="unigram",
        normalization_rule_name="nmt_nfkc", character_coverage=0.98, hard_vocab_limit=False, minloglevel=2)
    return out.getvalue()


def fields(data):
    """The fields of a protocol buffer message: numbers and values."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            length = {1: 8, 5: 4}.get(key & 7) or varint()
            yield key >> 3, data[at:at + length]
            at += length


def charsmap_of(model):
    # ModelProto.normalizer_spec is field 3, and its precompiled_charsmap field 2.
    return dict(fields(dict(fields(model))[3]))[2]


def pieces_of(model):
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [(processor.id_to_piece(i), processor.get_score(i)) for i in range(processor.get_piece_size())][3:]


def trained(model, trainer, normalizer, pre_tokenizer):
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def byte_level(size, pre_tokenizer, normalizer=None, special=("<|endoftext|>",), **options):
    suffix = {name: value for name, value in options.items() if name == "end_of_word_suffix"}
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=ByteLevel.alphabet(), special_tokens=list(special), show_progress=False, **suffix)
    tokenizer = trained(models.BPE(), trainer, normalizer, pre_tokenizer)
    model = json.loads(tokenizer.to_str())
    model["model"].update(options)
    return Tokenizer.from_str(json.dumps(model))


def with_bytes(pieces):
    return pieces + [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]


def gemma(size, legacy=False):
    normalizer = normalizers.Replace(" ", "▁")
    if legacy:
        normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    pre_tokenizer = None if legacy else Split(" ", "merged_with_previous")
    # It is trained word by word, as nobody trains it without splitting.
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<pad>", "<s>", "</s>", "<unk>"] + [f"<0x{b:02X}>" for b in range(256)],
        limit_alphabet=150, show_progress=False)
    tokenizer = trained(models.BPE(unk_token="<unk>"), trainer, normalizer, Split("▁", "merged_with_next"))
    data = json.loads(tokenizer.to_str())
    data["model"].update(byte_fallback=True, fuse_unk=True)
    data["added_tokens"] = [token for token in data["added_tokens"] if not token["content"].startswith("<0x")]
    if legacy:
        data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_special_tokens(["<pad>", "<s>", "</s>", "<unk>"])
    tokenizer.post_processor = template("<s> $A", "<s> $A <s> $B", [("<s>", 1)])
    return tokenizer


def roberta_frame(tokenizer, cls="<s>", sep="</s>"):
    return processors.RobertaProcessing(
        (sep, tokenizer.token_to_id(sep)), (cls, tokenizer.token_to_id(cls)), trim_offsets=True, add_prefix_space=False)


def word_level(normalizer, pre_tokenizer):
    words = sorted({word for line in LANGUAGES.lower().split("\n") for word in line.split()})[:120]
    chars = sorted(set("".join(LANGUAGES.split())))[:150]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(["[UNK]"] + words + chars))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    return tokenizer


def word_piece(size, normalizer, pre_tokenizer, special=("[UNK]", "[CLS]", "[SEP]", "[MASK]"), unknown="[UNK]"):
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=list(special), limit_alphabet=200, show_progress=False)
    tokenizer = trained(models.WordPiece(unk_token=unknown), trainer, normalizer, pre_tokenizer)
    tokenizer.add_special_tokens(list(special))
    return tokenizer


def kinds(size=600):
    """The tokenizers by name, and the charsmap that some of them have."""
    n, p = normalizers, pre_tokenizers
    found = {}
    model = sentencepiece_model(size)
    charsmap = charsmap_of(model)
    pieces = pieces_of(model)
    precompiled = n.Precompiled(charsmap)

    def unigram(normalizer, pre_tokenizer, entries=None, unk=3, byte_fallback=False, added=True):
        vocabulary = entries or [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + pieces + [("<mask>", 0.0)]
        tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=unk, byte_fallback=byte_fallback))
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        if pre_tokenizer is not None:
            tokenizer.pre_tokenizer = pre_tokenizer
        if added:
            tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, special=True)])
            tokenizer.post_processor = template("<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)])
        return tokenizer

    spaces = n.Replace(Regex(" {2,}"), " ")
    found["xlm-roberta"] = unigram(precompiled, p.Sequence([p.WhitespaceSplit(), Metaspace()]))
    found["xlm-roberta-5"] = unigram(n.Sequence([precompiled, spaces]), Metaspace())
    found["t5"] = unigram(
        n.Sequence([precompiled, n.Strip(left=False, right=True), n.Replace(Regex(" {2,}"), "▁")]), Metaspace(prepend_scheme="first"),
        [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + pieces, unk=2, added=False)
    found["t5"].post_processor = template("$A </s>", "$A </s> $B </s>", [("</s>", 1)])
    found["deberta"] = unigram(n.Sequence([n.Strip(), precompiled, spaces]), Metaspace(prepend_scheme="always"))
    found["albert"] = unigram(
        n.Sequence([n.Replace("``", '"'), n.Replace("''", '"'), n.NFKD(), n.StripAccents(), n.Lowercase(), precompiled, spaces]),
        Metaspace())
    found["camembert"] = unigram(precompiled, Metaspace(prepend_scheme="first"))
    found["camembert"].post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 0))
    found["unsplit"] = unigram(n.Sequence([n.Nmt(), n.NFKC(), n.Replace(" ", "▁")]), None)
    found["ruri"] = unigram(
        n.Sequence([n.Replace(" ", "▁")]), Metaspace(prepend_scheme="never", split=False), with_bytes([("<s>", 0.0), ("<pad>", 0.0),
        ("</s>", 0.0), ("<unk>", 0.0)] + pieces) + [("<mask>", 0.0)], byte_fallback=True)

    found["gpt2"] = byte_level(size, ByteLevel(add_prefix_space=False))
    found["gpt2"].post_processor = processors.ByteLevel(trim_offsets=False)
    found["roberta"] = byte_level(size, ByteLevel(add_prefix_space=False), special=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    found["roberta"].add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    found["roberta"].post_processor = roberta_frame(found["roberta"])
    found["prefix"] = byte_level(size, ByteLevel(add_prefix_space=True), special=["<s>", "</s>", "<mask>"])
    found["prefix"].add_special_tokens([AddedToken("<mask>", rstrip=True, special=True)])
    found["prefix"].post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=True, add_prefix_space=True)
    plain = ByteLevel(add_prefix_space=False, use_regex=False)
    found["qwen"] = byte_level(size, p.Sequence([Split(Regex(QWEN), "isolated"), plain]), n.NFC())
    found["qwen"].post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False), template("$A <|endoftext|>", "$A $B <|endoftext|>", [("<|endoftext|>", 0)])])
    found["llama3"] = byte_level(
        size, p.Sequence([Split(Regex(CL100K), "isolated"), plain]), special=["<|begin|>"], ignore_merges=True)
    found["llama3"].post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True), template("<|begin|> $A", "<|begin|> $A <|begin|>:1 $B:1", [("<|begin|>", 0)])])
    found["cl100k"] = byte_level(size, p.Sequence([Split(Regex(CL100K), "removed", invert=True), plain]))
    found["o200k"] = byte_level(size, p.Sequence([Split(Regex(O200K), "isolated"), plain]))
    found["possessive"] = byte_level(size, p.Sequence([Split(Regex(POSSESSIVE), "isolated"), plain]))
    found["kimi"] = byte_level(size, p.Sequence([Split(Regex(KIMI), "isolated"), plain]))
    found["deepseek"] = byte_level(size, p.Sequence([Split(Regex(x), "isolated") for x in DEEPSEEK] + [plain]))
    found["starcoder"] = byte_level(size, p.Sequence([p.Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]))
    found["unsplit-bytes"] = byte_level(size, ByteLevel(add_prefix_space=False))
    found["unsplit-bytes"].pre_tokenizer = plain
    found["modernbert"] = byte_level(size, ByteLevel(add_prefix_space=False), n.NFC(), special=["[UNK]", "[CLS]", "[SEP]"])
    found["modernbert"].add_tokens([AddedToken(" " * count, normalized=True) for count in range(24, 1, -1)])
    found["modernbert"].add_tokens([AddedToken("|||EMAIL|||", normalized=True)])
    found["modernbert"].add_special_tokens([AddedToken("[MASK]", lstrip=True, special=True)])
    found["modernbert"].post_processor = template("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", [("[CLS]", 1), ("[SEP]", 2)])
    found["clip"] = byte_level(
        size, p.Sequence([Split(Regex(CLIP), "removed", invert=True), plain]),
        n.Sequence([n.NFC(), n.Replace(Regex(r"\s+"), " "), n.Lowercase()]), end_of_word_suffix="</w>")
    found["clip"].post_processor = roberta_frame(found["clip"], "<|endoftext|>", "<|endoftext|>")
    small = trainers.BpeTrainer(vocab_size=size, special_tokens=["<unk>"], continuing_subword_prefix="##", show_progress=False)
    found["bpe-prefix"] = trained(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"), small, n.Lowercase(), p.Whitespace())
    small = trainers.BpeTrainer(vocab_size=size, special_tokens=["<unk>"], limit_alphabet=120, show_progress=False)
    found["bpe-unknown"] = trained(models.BPE(unk_token="<unk>", fuse_unk=True), small, n.NFD(), p.WhitespaceSplit())
    found["bpe-dropped"] = trained(models.BPE(), small, n.NFKC(), p.BertPreTokenizer())
    data = json.loads(found["bpe-unknown"].to_str())
    data["model"]["fuse_unk"] = False
    found["bpe-unfused"] = Tokenizer.from_str(json.dumps(data))
    found["bpe-bytes-partly"] = byte_level(size, p.Sequence([p.Whitespace(), ByteLevel(add_prefix_space=True)]))
    data = json.loads(found["bpe-bytes-partly"].to_str())
    for char in "ÃÂĀ":
        used = {pair for pair in map(tuple, data["model"]["merges"]) if char in "".join(pair)}
        data["model"]["merges"] = [pair for pair in data["model"]["merges"] if tuple(pair) not in used]
        data["model"]["vocab"] = {token: i for i, token in enumerate(t for t in data["model"]["vocab"] if char not in t)}
    found["bpe-bytes-partly"] = Tokenizer.from_str(json.dumps(data))
    found["bytes-normalizer"] = byte_level(size, p.Split(Regex("Ġ"), "merged_with_next"), n.Sequence([n.NFC(), n.ByteLevel()]))
    found["gemma"] = gemma(size + 256)
    found["llama2"] = gemma(size + 256, legacy=True)

    found["mpnet"] = word_piece(size, n.BertNormalizer(), p.BertPreTokenizer(), ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<unk>")
    found["mpnet"].add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    found["mpnet"].post_processor = template("<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)])
    found["distilbert"] = word_piece(size, n.BertNormalizer(lowercase=False), p.BertPreTokenizer())
    found["distilbert"].post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    found["wordpiece"] = word_piece(
        size, n.Sequence([n.NFKC(), n.BertNormalizer(strip_accents=True), n.StripAccents()]), p.Sequence([p.WhitespaceSplit(), p.Punctuation()]))
    found["wordpiece"].add_tokens([AddedToken("newtoken", single_word=True), AddedToken("New", lstrip=True, rstrip=True)])
    found["typed"] = word_piece(size, n.NFD(), p.Whitespace())
    found["typed"].post_processor = template("[CLS]:1 $A:1 [SEP]:1", "[CLS] $A [SEP] $B:1 [SEP]:2", [("[CLS]", 1), ("[SEP]", 2)])

    found["word-level"] = word_level(n.Lowercase(), p.Whitespace())
    for behavior in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
        found[f"punctuation-{behavior}"] = word_level(None, p.Punctuation(behavior))
        found[f"split-{behavior}"] = word_level(n.NFKD(), p.Split(Regex(r"\s|[aeiou]+"), behavior))
        found[f"inverted-{behavior}"] = word_level(n.NFKC(), p.Split(Regex(r"\w+"), behavior, invert=True))
    found["digits"] = word_level(None, p.Sequence([p.Digits(False), p.CharDelimiterSplit("a")]))
    found["pieces"] = word_level(n.Sequence([n.Prepend("xy"), n.Strip(), n.StripAccents()]), p.FixedLength(length=3))
    found["looks"] = word_level(n.Replace(Regex(r"(?<=\p{L})\d"), "#"), p.Split(Regex(r"(?<![a-z])[a-z]|\B-\b|^\s|x{2,3}?|(?>ab|a)b$"), "isolated"))
    found["none"] = word_level(None, None)
    # Files made of SentencePiece models split at all symbols that the user defined.
    symbols = [f"<unused{number}>" for number in range(40)] + ["a", "ab", "abc", "b", "é", "日本", "日", "word", "wo", "\n\n", "x{2}"]
    found["symbols"] = word_level(
        n.Sequence([n.Replace(Regex(r"\A +| +\z"), ""), n.Replace(Regex(r"\Aa"), "aa")]),
        p.Split(Regex("|".join(re.escape(symbol) for symbol in sorted(symbols, key=len, reverse=True))), "isolated"))
    # The space that white space is split at is no longer there.
    found["no-spaces"] = word_level(n.Replace(" ", "▁"), p.WhitespaceSplit())
    # White space that belongs to a match may hold another added token.
    found["overlaps"] = word_level(n.NFKC(), p.Whitespace())
    found["overlaps"].add_tokens([AddedToken("  ", lstrip=True, rstrip=True, normalized=False), AddedToken("\n", rstrip=True)])
    found["overlaps"].add_tokens([AddedToken("\t", normalized=False), AddedToken("word", lstrip=True, normalized=True)])
    found["overlaps"].post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=True)
    return found, charsmap


PAIRS = [("a query", "a document about free and equal people " * 3), ("short", "日本語の文章"), ("word " * 40, "word " * 30), ("", "x"), ("é", "")]
LENGTHS = [1000, 32, 17, 9, 4]


def pair_numbers(tokenizer, pair, length):
    count = tokenizer.num_special_tokens_to_add(True)
    tokenizer.enable_truncation(max(length, count), strategy="longest_first")
    encoding = tokenizer.encode(*pair)
    tokenizer.no_truncation()
    return [len(encoding.ids)] + encoding.ids + encoding.type_ids


def main(folder):
    found, charsmap = kinds()
    encoded = base64.b64encode(charsmap).decode()
    with open(f"{folder}/nmt_nfkc.txt", "w") as out:
        out.write(encoded)
    random_ones = random_texts(1500)
    result = []
    for name, tokenizer in found.items():
        def hashes(texts, size):
            blocks = []
            for start in range(0, len(texts), size):
                value = 0xCBF29CE484222325
                for text in texts[start:start + size]:
                    value = fnv(numbers_of(text, tokenizer.encode(text, add_special_tokens=False)), value)
                blocks.append(f"{value:016x}")
            return blocks

        frame = tokenizer.encode("a")
        result.append({
            "name": name,
            "tokenizer": tokenizer.to_str().replace(encoded, "@charsmap"),
            "texts": hashes(TEXTS, 1),
            "random": hashes(random_ones, 100),
            "framed": [frame.ids, frame.type_ids],
            "pairs": [f"{fnv(pair_numbers(tokenizer, pair, length)):016x}" for pair in PAIRS for length in LENGTHS],
        })
    with open(f"{folder}/kinds.json", "w", encoding="utf-8") as out:
        json.dump({"texts": TEXTS, "pools": POOLS, "pairs": PAIRS, "lengths": LENGTHS, "kinds": result}, out, ensure_ascii=False,
                  separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1])
