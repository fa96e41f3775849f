"""Writes the expected tokens of Tests/TokenizationTests with the `tokenizers` library.

    pip install tokenizers==0.23.3
    python scripts/tokenization/fixture.py models/all-MiniLM-L6-v2 Tests/TokenizationTests/Fixtures/cases.json
"""

import copy
import json
import random
import sys
import unicodedata

from tokenizers import Tokenizer

R = random.Random(20240229)
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
LOWER = list(range(97, 123))
# Marks that are kept when accents are stripped and that canonical ordering may move.
MOVABLE = [0x8D4, 0x1B44, 0x1BAA, 0x1DFB, 0x302E, 0x302F, 0xA953, 0x11442, 0x1D165, 0x1D16D, 0x1D16E, 0x1E000]
POOLS = [
    [c for c in SCALARS if unicodedata.combining(chr(c))],
    MOVABLE,
    [c for c in SCALARS if unicodedata.decomposition(chr(c)) and "<" not in unicodedata.decomposition(chr(c))],
    list(range(0xAC00, 0xD7A4)) + list(range(0x1100, 0x1200)),
    list(range(0x4E00, 0xA000)) + list(range(0x20000, 0x20100)) + list(range(0xF900, 0xFB00)),
    list(range(0x3040, 0x3100)),
    list(range(0x1F300, 0x1F650)) + [0x200D, 0xFE0F, 0x1F3FB],
    list(range(32)) + list(range(0x7F, 0xA0)) + [0x200B, 0xFEFF, 0xFFFD, 0xE000, 0x2028, 0x3000, 0xA0, 0x2000, 0xAD],
    list(range(0xC0, 0x250)) + list(range(0x1E00, 0x1F00)) + list(range(0x370, 0x530)),
    list(range(0x5D0, 0x700)) + list(range(0x900, 0x980)) + list(range(0xE00, 0xE80)),
    list(range(0x1D150, 0x1D1C0)),
    list(range(32, 127)),
    LOWER,
    SCALARS,
]
WORDS = [
    "the", "quick", "embedding", "Running", "tokenization", "unaffable", "don't", "http://a.b/c?d=e", "[CLS]", "[SEP]",
    "[MASK]", "[PAD]", "[UNK]", "[cls]", "[CLS", "CLS]", "[MASK][SEP]", "naïve", "Ünïcödé", "re\u0301sume\u0301",
    "İstanbul", "ΣΊΣΥΦΟΣ", "straße", "ﬁne", "①②", "中文字符", "한국어", "ひらがな", "ไทย", "हिन्दी", "👩‍👩‍👧", "##ing", "a\0b",
    "a\ufffdb", "tab\tnew\nline", "\r\n",
]
FIXED = WORDS + [
    "", " ", "x" * 99, "x" * 100, "x" * 101, "é" * 100, "é" * 101, "e\u0301" * 100, "e\u0301" * 101, "a" * 1000,
    "\u0301\u0302", "[CLS]\u0301[SEP]", "[ CLS ]", "[[CLS]]", "中" * 40, "\u1100\u1161\u11a8", "각", "Å\u0327\u0301",
]


def text():
    pools = R.sample(POOLS, R.randint(1, 4))
    parts = []
    for _ in range(R.randint(1, 14)):
        kind = R.random()
        if kind < 0.15:
            parts.append(" ")
        elif kind < 0.25:
            parts.append(R.choice(WORDS))
        elif kind < 0.4:
            parts.append("".join(chr(R.choice(LOWER)) for _ in range(R.randint(1, 8))))
        else:
            parts.append(chr(R.choice(R.choice(pools))))
    return "".join(parts)


# These have numbers of their own, so that a change here leaves the other texts as they are.
M = random.Random(20270131)
SCRIPTS = """
All human beings are born free and equal in dignity and rights. don't re-read U.S.A. 3.14 #tag @name a_b C++ <b>x</b>
すべての人間は、 生まれながらにして自由であり、 ガギグゲゴ ﾊﾝｶｸ 人人生而自由， 在尊严和权利上一律平等。 모든 인간은 태어날 때부터 자유로우며
Все люди рождаются свободными и равными в своём достоинстве Ёлка Йод Їжак يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق مُحَمَّد
Tous les êtres humains naissent égaux Straße ÄÖÜß İstanbul ıI Čeština řeřicha Tất cả mọi người sinh ra đều ﬁancé Œuvre Ⅷ ǅ
Όλοι οι ΆΝΘΡΩΠΟΙ γεννιούνται ΣΊΣΥΦΟΣ ΰ ᾯ כָּל בְּנֵי הָאָדָם नमस्ते क्षत्रिय মানুষ ਮਨੁੱਖ மனிதர் มนุษย์ทั้งหลาย ລາວ မြန်မာ ខ្មែរ አማርኛ ქართული ᲥᲐ ՀԱՅԵՐԵՆ ᏣᎳᎩ
😀 👍🏽 👩‍👩‍👧 🇯🇵 ❤️ 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ﷽ ㍿ ㊗ ½ № € “q” — … ･ ＡＢＣ１２３ 𝔄𝔅 𝟘𝟙 𐐀𐐨 𠮷野家 丽 Å Ω K ẛ̣ q̣̇ ḍ̇ 각 각
""".split()
# What stands between words: nothing, spaces of all kinds, characters without width, controls, punctuation.
JOINTS = ["", "", " ", " ", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2009", "\u200b", "\u200d", "\u200e", "\u2060"]
JOINTS += ["\ufeff", "\u00ad", "\u0300", "\u0345", "\u302e", "\u0000", "\u007f", "\u0085", "\u2028", "\ufffd", "\ue000", "\ufe0f"]
JOINTS += [".", ", ", "-", "–", "_", "'", "’", "/", "…", "。", "،", "|", "[CLS]", "[SEP] ", " [MASK]", "[UNK", "##", "\\"]


def mixed():
    """Words of many scripts, whole or cut anywhere, in any case, with anything between them."""
    parts = []
    for _ in range(M.randint(1, 30)):
        word = M.choice(SCRIPTS)
        if M.random() < 0.3:
            start = M.randrange(len(word))
            word = word[start : start + M.randint(1, len(word))]
        parts.append(M.choice([str, str, str, str.upper, str.lower, str.swapcase])(word))
        parts.append(M.choice(JOINTS))
    form = M.choice([None, None, "NFC", "NFD", "NFKC"])
    return unicodedata.normalize(form, "".join(parts)) if form else "".join(parts)


def hostile():
    """Words about as long as the longest that is looked up, and texts that repeat one thing very often."""
    part = lambda: M.choice([chr(M.choice(M.choice(POOLS))), M.choice(SCRIPTS), M.choice(JOINTS)])
    unit = part() + part() or " "
    if M.random() < 0.5:
        return unit * M.randint(1, 1 + 300 // len(unit))
    # From 97 to 103 characters.
    rest = "".join(chr(M.choice(M.choice(POOLS[:12]))) for _ in range(M.randint(0, 4)))
    return M.choice("ae中é각\u0301") * (M.randint(97, 103) - len(rest)) + rest + M.choice([*SCRIPTS, ""])


def cases(tokenizer, texts):
    """[text, ids, [start, stop, …]] per text, with offsets in UTF-8 bytes and without special tokens."""
    result = []
    for string in texts:
        place = [0]
        for char in string:
            place.append(place[-1] + len(char.encode()))
        found = tokenizer.encode(string, add_special_tokens=False)
        result.append([string, found.ids, [place[at] for pair in found.offsets for at in pair]])
    return result


def block_hashes(tokenizer):
    """FNV-1a hashes, one per 8,192 scalars, over the number of ids and the ids of `ab` + scalar + `cd`."""
    hashes = []
    for start in range(0, 0x110000, 8192):
        value = 0xCBF29CE484222325
        texts = ["ab" + chr(c) + "cd" for c in range(start, start + 8192) if not 0xD800 <= c <= 0xDFFF]
        for found in tokenizer.encode_batch(texts, add_special_tokens=False) if texts else []:
            for number in [len(found.ids)] + found.ids:
                value = (value ^ number) * 0x100000001B3 % (1 << 64)
        hashes.append(f"{value:016x}")
    return hashes


def small(change):
    """A tokenizer with a vocabulary of single characters and a few pieces."""
    letters = "abcdefghijklmnopqrstuvwxyzABCÉÜéüß0123456789中文가각가あ一àΣσ"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "!", ",", "[", "]", "'", "\u0301", "\u00a0"]
    pieces += list(letters) + ["##" + char for char in letters + "\u0301"] + ["the", "quick", "embed", "##ing", "##ding"]
    special = dict(special=True, single_word=False, lstrip=False, rstrip=False, normalized=False)
    file = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": pieces[i], **special} for i in range(5)],
        "normalizer": {
            "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
            },
        },
        "decoder": None,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": {piece: i for i, piece in enumerate(pieces)},
        },
    }
    file = copy.deepcopy(file)
    change(file)
    return file


def normalizer(**options):
    return lambda file: file["normalizer"].update(options)


def added(normalized):
    def change(file):
        vocabulary = file["model"]["vocab"]
        tokens = [
            ("quick", dict(single_word=True)), ("ÜÉ", {}), ("中文", {}), ("the", dict(lstrip=True)),
            ("embed", dict(rstrip=True)), ("a b", {}), (" c", {}), ("embedding", dict(normalized=False, rstrip=True)),
            ("xx", dict(lstrip=True, rstrip=True, single_word=True)), ("e\u0301e", {}),
        ]
        top = len(vocabulary)
        for content, options in tokens:
            known = vocabulary.get(content)
            base = dict(special=False, single_word=False, lstrip=False, rstrip=False, normalized=normalized)
            file["added_tokens"].append(
                {"id": top if known is None else known, "content": content, **base, **options})
            top += known is None
        file["added_tokens"][4]["lstrip"] = True
        file["added_tokens"][3]["rstrip"] = True
    return change


VARIANTS = {
    "cased": normalizer(lowercase=False),
    "cased without accents": normalizer(lowercase=False, strip_accents=True),
    "accents kept": normalizer(strip_accents=False),
    "not cleaned": normalizer(clean_text=False),
    "ideographs not set apart": normalizer(handle_chinese_chars=False),
    "normalizer off": normalizer(
        clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False),
    "short words": lambda file: file["model"].update(max_input_chars_per_word=5),
    "added tokens": added(False),
    "added tokens, normalized": added(True),
}
EXTRA = ["the", "a b", "a  b", "embed", "embedding", "quickly", " xx ", "xxx", "ÜÉ", "üé", " the ", " embed  ", "中文", " c", "Σ"]


def variant(name, change):
    file = json.dumps(small(change), ensure_ascii=False)
    tokenizer = Tokenizer.from_str(file)
    texts = ["".join(R.choice([*EXTRA, text()[:4], " "]) for _ in range(R.randint(1, 6))) for _ in range(120)]
    return {"name": name, "tokenizer": file, "cases": cases(tokenizer, FIXED[:40] + texts)}


original = Tokenizer.from_file(sys.argv[1] + "/tokenizer.json")
original.no_truncation()
original.no_padding()
fixture = {
    "cases": cases(original, FIXED + [text() for _ in range(2500)]),
    "mixed": cases(original, [mixed() for _ in range(150)] + [hostile() for _ in range(60)]),
    "blocks": block_hashes(original),
    "variants": [variant(*item) for item in VARIANTS.items()],
}
with open(sys.argv[2], "w", encoding="utf-8") as out:
    json.dump(fixture, out, separators=(",", ":"), ensure_ascii=True)
