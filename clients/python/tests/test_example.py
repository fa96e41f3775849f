"""Runs the training example on a WordNet file of a few records, up to its plot."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RECORD = "{number:08} 03 n 01 {word} 0 000 | {gloss}  \n"
WORDS = {
    "cat": "small feline mammal kept as a pet", "dog": "animal that barks and guards the house",
    "ship": "large vessel that crosses the sea", "bread": "food of baked dough", "rain": "water falling from clouds",
    "piano": "keyboard instrument with hammers and strings", "snow": "white flakes that fall in winter",
    "bank": "institution that lends money; \"he keeps his savings at the bank\"",
}  # fmt: skip


def write(path):
    records = [RECORD.format(number=number, word=word, gloss=gloss) for number, (word, gloss) in enumerate(WORDS.items())]
    passed_over = [
        RECORD.format(number=90, word="Paris", gloss="capital of a country"),
        RECORD.format(number=91, word="ice_cream", gloss="frozen dessert"),
        RECORD.format(number=92, word="teacup", gloss="a teacup is a cup"),
        RECORD.format(number=93, word="cat", gloss="a second sense of a word"),
        RECORD.format(number=94, word="zloaf", gloss="food of baked dough"),
    ]
    path.write_text("  1 The licence, with a | in it\n" + "".join(records + passed_over))


def test_pairs(tmp_path):
    sys.path.insert(0, str(EXAMPLES))
    from train_projection import read_pairs

    write(tmp_path / "data.noun")
    expected = sorted((word, gloss.split(";")[0]) for word, gloss in WORDS.items())
    assert read_pairs(tmp_path / "data.noun") == expected


def test_training_to_the_plot(service, tmp_path):
    write(tmp_path / "data.noun")
    command = [
        sys.executable, EXAMPLES / "train_projection.py", "--url", service.url, "--wordnet", tmp_path / "data.noun",
        "--train", "6", "--test", "2", "--steps", "8", "--batch", "4", "--measure-every", "2", "--print-every", "4",
        "--plot", tmp_path / "plot.png",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("6 pairs to train on, 2 held out")
    assert [line.split()[1] for line in lines if line.startswith("step ")] == ["0", "4", "8"]
    assert "recall@1 on held-out pairs" in lines[-2]
    assert "8/8" in done.stderr
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    command[command.index("--train") + 1] = "7"
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "has 8 pairs, fewer than 7 + 2" in done.stderr
