"""Texts in many languages for training and comparing tokenizers: the translations in the system's gettext catalogs, the
documentation in Python's own modules, and texts made of both by changes that tokenizers are sensitive to."""

import gettext
import inspect
import json
import pkgutil
import random
import unicodedata
from functools import cache
from pathlib import Path

import kinds

ROOT = Path(__file__).resolve().parents[2]
CATALOGS = Path("/usr/share/locale")
# What is put between the characters of a text: white space, marks, joiners, apostrophes, special tokens, controls.
INSERTED = [
    " ", "  ", "\n", "\r\n", "\t", "\u3000", "\u00a0", "\u2028", "\u0085", "\u0301", "\u0327", "\u3099", "\u0e49", "\u094d",
    "\u200d", "\u200b", "\ufe0f", "\ufeff", "\u0000", "\u0007", "\u007f", "\u00ad", "'", "\u2019", "'s", "n't", "▁", "Ġ", "##",
    "<s>", "</s>", "<mask>", "[MASK]", "[UNK]", "<unk>", "<0x0A>", "<|endoftext|>", "1", "12345", "½", "Ⅻ", "٣", "ﬁ", "ß", "İ",
    "Σ", "ς", "Ǆ", "가", "\u1100\u1161", "が", "か\u3099", "ｶﾞ", "Ａ", "！", "👍🏽", "👩‍👩‍👧", "🇯🇵", "\U00020000", "\U0010ffff",
]


@cache
def translations() -> dict[str, list[str]]:
    """The texts of each language of which there are enough, by its code."""
    found = {}
    for folder in sorted(CATALOGS.iterdir()):
        texts = []
        for path in sorted(folder.glob("LC_MESSAGES/*.mo")):
            try:
                with path.open("rb") as file:
                    catalog = gettext.GNUTranslations(file)._catalog
            except (OSError, ValueError, IndexError, KeyError):
                continue
            texts += [text for key, text in catalog.items() if key and text]
        if sum(map(len, texts)) > 20_000:
            found[folder.name] = list(dict.fromkeys(texts))
    return found


@cache
def documentation() -> list[str]:
    """Paragraphs of English with code, from the modules of the standard library."""
    paragraphs = []
    for module in sorted(pkgutil.iter_modules(), key=lambda module: module.name):
        path = Path(getattr(module.module_finder, "path", ".")) / f"{module.name}.py"
        if "site-packages" in str(path) or not path.is_file():
            continue
        source = path.read_text(encoding="utf-8", errors="ignore")
        paragraphs += [inspect.cleandoc(part) for part in source.split("\n\n") if 20 < len(part) < 2000]
    return paragraphs


def japanese() -> list[str]:
    """All strings of the fixture of Japanese texts."""
    found = []

    def collect(value):
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list | dict):
            for item in value.values() if isinstance(value, dict) else value:
                collect(item)

    collect(json.loads((ROOT / "Tests/clients/fixtures/japanese.json").read_text(encoding="utf-8")))
    return found


def corpus(size: int) -> list[str]:
    """About `size` characters to train on, a third of them English and code, the rest of as many languages as there are."""
    source = random.Random(3)
    languages = translations()
    rows = kinds.LANGUAGES.split("\n") * 3 + japanese()
    for texts in [documentation()] * (len(languages) // 2) + list(languages.values()):
        left = size * 2 // 3 // len(languages)
        while left > 0:
            text = source.choice(texts)
            rows.append(text)
            left -= len(text) + 1
    return rows


def samples(count: int, seed: int = 11) -> list[str]:
    """Texts of all languages in turn, four fifths of them changed."""
    source = random.Random(seed)
    pools = [*translations().values(), documentation(), japanese(), kinds.LANGUAGES.split("\n")]
    source.shuffle(pools)
    found = []
    for number in range(count):
        pool = pools[number % len(pools)]
        found.append(changed(source.choice(pool)[:400], source.choice(pool)[:200], number % 5, source))
    return found


def changed(text: str, other: str, way: int, source: random.Random) -> str:
    if way == 1:
        text = unicodedata.normalize(source.choice(["NFD", "NFKD", "NFC", "NFKC"]), text)
    elif way == 2:
        letters = list(text)
        for _ in range(source.randrange(1, 8)):
            letters.insert(source.randrange(len(letters) + 1), source.choice(INSERTED))
        text = "".join(letters)
    elif way == 3:
        text = source.choice([text.upper(), text.title(), text.swapcase(), text[::-1]]) + source.choice(INSERTED) + other
    elif way == 4:
        words = (text + " " + other).split()
        source.shuffle(words)
        text = source.choice(["", " ", "  "]).join(words)
        if source.random() < 0.2:
            # Long texts are read in pieces.
            text = source.choice([" ", "\n", ""]).join([text] * 8)
    return text


def random_strings(count: int) -> list[str]:
    """Random Unicode strings: most from related blocks, and some of any code points."""
    found = kinds.random_texts(count * 4 // 5)
    source = random.Random(5)
    while len(found) < count:
        codes = [source.choice([source.randrange(0x80), source.randrange(0x3000), source.randrange(0x20000), source.randrange(0x110000)])
                 for _ in range(source.randrange(1, 40))]
        found.append("".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000))
    return found
