"""Writes Sources/Tokenization/UnicodeData.swift: what the `tokenizers` library does with each code point.

The library contains tables of several Unicode versions (its categories are older than its lowercase mapping). Therefore they
are derived from the behaviour of the library itself, one code point at a time, and not taken from a Unicode release.

    pip install tokenizers==0.23.3
    python scripts/tokenization/unicode_tables.py Sources/Tokenization/UnicodeData.swift
"""

import struct
import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import NFC, NFD, NFKD, BertNormalizer, Precompiled, StripAccents
from tokenizers.pre_tokenizers import BertPreTokenizer, Digits, Split

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def only(**flags):
    settings = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return BertNormalizer(**{**settings, **flags}).normalize_str


clean, chinese = only(clean_text=True), only(handle_chinese_chars=True)
strip, lower = only(strip_accents=True), only(lowercase=True)
nfd = NFD().normalize_str
split = BertPreTokenizer().pre_tokenize_str


def is_hangul(code):
    return 0xAC00 <= code <= 0xD7A3


def hangul(code):
    index = code - 0xAC00
    trail = [chr(0x11A7 + index % 28)] if index % 28 else []
    return "".join([chr(0x1100 + index // 588), chr(0x1161 + index % 588 // 28)] + trail)


removed, spaces, cjk, marks, punctuation = [], [], [], [], []
decompositions, lowercase = {}, {}
for code in SCALARS:
    char = chr(code)
    cleaned = clean(char)
    if cleaned == "":
        removed.append(code)
    else:
        assert cleaned in (char, " ")
    pieces = [piece for piece, _ in split("a" + char + "b")]
    if pieces == ["a", "b"]:
        spaces.append(code)
    elif pieces == ["a", char, "b"]:
        punctuation.append(code)
    else:
        assert pieces == ["a" + char + "b"]
    # What clean_text turns into a space is what the pre-tokenizer splits at, so that one set serves both.
    assert cleaned == "" or (cleaned == " ") == (pieces == ["a", "b"] or char in "\t\n\r"), hex(code)
    if chinese(char) != char:
        assert chinese(char) == f" {char} "
        cjk.append(code)
    decomposed = nfd(char)
    if decomposed != char:
        if is_hangul(code):
            assert decomposed == hangul(code)
        else:
            decompositions[code] = decomposed
    else:
        stripped = strip(char)
        assert stripped in (char, "")
        if stripped == "":
            marks.append(code)
    if lower(char) != char:
        lowercase[code] = lower(char)

# An added token that must stand alone is found only where no word character is next to it.
lonely = Tokenizer(WordPiece({"[UNK]": 0, "x": 1}, unk_token="[UNK]"))
lonely.add_tokens([AddedToken("x", single_word=True, normalized=False)])
texts = [chr(code) + "x" for code in SCALARS]
words = [code for code, found in zip(SCALARS, lonely.encode_batch(texts)) if found.ids[-1] != 1]

# Canonical combining classes: two marks swap when the first has the higher class and neither has class 0.
lowest, highest = "\u0334", "\u0345"  # classes 1 and 240


def swaps(first, second):
    return nfd(first + second) == second + first and first != second


def has_class(char):
    return swaps(char, lowest) or swaps(highest, char) or char in (lowest, highest)


known = {}
for code in range(0x1000):
    value = unicodedata.combining(chr(code))
    if value and nfd(chr(code)) == chr(code) and has_class(chr(code)):
        known.setdefault(value, chr(code))


def combining_class(char):
    """The class in Python's tables where the order against all known marks agrees with it, otherwise any class that fits."""
    if not has_class(char):
        return 0
    above = {value for value, mark in known.items() if swaps(char, mark)}
    below = {value for value, mark in known.items() if swaps(mark, char)}
    for value in [unicodedata.combining(char)] + list(range(1, 255)):
        if value and above == {v for v in known if v < value} and below == {v for v in known if v > value}:
            return value
    raise SystemExit(f"no class fits {ord(char):#x}")


classes = {}
for code in SCALARS:
    if code not in decompositions and not is_hangul(code):
        value = combining_class(chr(code))
        if value:
            classes[code] = value

# Compatibility decompositions, where they differ from the canonical ones, and what NFC does not compose.
nfc, nfkd = NFC().normalize_str, NFKD().normalize_str
compatibility = {code: nfkd(chr(code)) for code in SCALARS if nfkd(chr(code)) != nfd(chr(code))}
excluded = [code for code in decompositions if nfc(chr(code)) != chr(code)]
accents = [code for code in SCALARS if StripAccents().normalize_str(chr(code)) == ""]

# What splits a text of all scalars tells which of them a pattern or a pre-tokenizer takes.
EVERYTHING = "".join(map(chr, SCALARS))


def taken(splitter):
    found = set()
    for _, (start, stop) in splitter.pre_tokenize_str(EVERYTHING):
        found.update(SCALARS[start:stop])
    return found


def matched(pattern):
    return taken(Split(Regex(pattern), "removed", invert=True))


digits = Digits(individual_digits=True)
numeric = [code for code in SCALARS if len(digits.pre_tokenize_str("a" + chr(code))) == 2]

CATEGORIES = ["Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf",
              "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co"]
category = {}
for index, name in enumerate(CATEGORIES):
    for code in matched(rf"\p{{{name}}}+"):
        category[code] = index
regexWords = matched(r"\w+")
assert matched(r"\d+") == {code for code in SCALARS if CATEGORIES[category[code]] == "Nd"}
assert matched(r"\s+") == set(spaces), "regular expressions and the pre-tokenizer agree on white space"
SCRIPTS = ["Han", "Hiragana", "Katakana", "Hangul", "Latin", "Greek", "Cyrillic", "Arabic", "Hebrew", "Thai",
           "Devanagari"]
scripts = {}
for index, name in enumerate(SCRIPTS):
    for code in matched(rf"\p{{{name}}}+"):
        assert code not in scripts
        scripts[code] = index

# Grapheme clusters. A charsmap whose keys are all lead bytes replaces each cluster of fewer than six bytes, and each
# scalar of a longer one, by "X", so that the clusters can be counted. A double array has the children of a node at the
# node's offset XOR the label.
units = [0] * 1024
units[0] = 1 << 10 | 0  # The root: its children are at 1 ^ label.
for lead in range(2, 256):
    place = 1 ^ lead
    units[place] = (512 ^ place) << 10 | 1 << 8 | lead  # A leaf follows at 512.
units[512] = 1 << 31
blob = struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + b"X\0"
count = Precompiled(blob).normalize_str
assert count("ab") == "XX" and count("a\u0301") == "X"
extending = [code for code in SCALARS if count("a" + chr(code)) == "X"]
prepended = [code for code in SCALARS if count(chr(code) + "a") == "X"]
# Four bytes and an extending character make a cluster that is replaced one scalar at a time, so that what is a control
# among them is taken from the categories.
controls = [code for code in SCALARS if code not in set(extending) | set(prepended) and (
    len(count(chr(code) + "\u0301")) == 2 if code < 0x10000 else CATEGORIES[category[code]] in ("Cc", "Cf", "Zl", "Zp"))]


def number(value):
    """Five bits per character, least significant first; the sixth bit says that more follow."""
    text = ""
    while True:
        digit, value = value & 31, value >> 5
        text += ALPHABET[digit | (32 if value else 0)]
        if not value:
            return text


def signed(value):
    return number(value * 2 if value >= 0 else -value * 2 - 1)


def ranges(codes, value=lambda code: None):
    runs = []
    for code in codes:
        if runs and runs[-1][1] + 1 == code and value(code) == value(runs[-1][0]):
            runs[-1][1] = code
        else:
            runs.append([code, code])
    text, after = "", 0
    for first, last in runs:
        text += number(first - after) + number(last - first)
        if value(first) is not None:
            text += number(value(first))
        after = last + 1
    return text


def mappings(table):
    text, after = "", 0
    for code, result in sorted(table.items()):
        text += number(code - after) + number(len(result) - 1)
        previous = code
        for position, char in enumerate(result):
            text += signed(ord(char) - previous)
            previous = 0x300
        after = code + 1
    return text


def literal(name, comment, text, width=108):
    lines = [text[i : i + width] for i in range(0, len(text), width)]
    body = "\\\n".join("    " + line for line in lines)
    return f'  /// {comment}\n  static let {name}: StaticString = """\n{body}\n    """\n'


parts = [
    ("removed", "Ranges that `clean_text` drops.", ranges(removed)),
    ("spaces", "Ranges that separate words.", ranges(spaces)),
    ("chinese", "Ranges that `handle_chinese_chars` sets apart.", ranges(cjk)),
    ("punctuation", "Ranges that are words of their own.", ranges(punctuation)),
    ("marks", "Ranges that `strip_accents` drops after decomposition.", ranges(marks)),
    ("wordCharacters", "Ranges that belong to words, for added tokens that must stand alone.", ranges(words)),
    ("combiningClasses", "Ranges with their canonical combining class, where it is not 0.",
     ranges(sorted(classes), classes.get)),
    ("decompositions", "Canonical decompositions, in full; Hangul syllables are computed.", mappings(decompositions)),
    ("lowercase", "Lowercase mappings.", mappings(lowercase)),
    ("compatibility", "Compatibility decompositions, in full, where they are not the canonical ones.",
     mappings(compatibility)),
    ("excluded", "Ranges that decompose, and that composition does not make.", ranges(excluded)),
    ("accents", "Ranges that `StripAccents` drops: all marks.", ranges(accents)),
    ("numeric", "Ranges that `Digits` sets apart.", ranges(numeric)),
    ("categories", "Ranges with their general category as regular expressions know it; UnicodeCategory has the numbers.",
     ranges([code for code in SCALARS if category[code]], category.get)),
    ("regexWords", "Ranges that `\\w` matches in a regular expression.", ranges(sorted(regexWords))),
    ("scripts", "Ranges with their script; UnicodeScript has the numbers.", ranges(sorted(scripts), scripts.get)),
    ("extending", "Ranges that do not begin a grapheme cluster.", ranges(extending)),
    ("prepended", "Ranges that do not end a grapheme cluster.", ranges(prepended)),
    ("controls", "Ranges that are grapheme clusters of their own.", ranges(controls)),
]
with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write("// Generated by scripts/tokenization/unicode_tables.py from tokenizers " + tokenizers.__version__ + ".\n")
    out.write("// Do not edit. UnicodeReader in UnicodeTables.swift says how the text is read.\n\n")
    out.write("enum UnicodeData {\n" + "\n".join(literal(*part) for part in parts) + "}\n")
for name, _, text in parts:
    print(name, len(text))
