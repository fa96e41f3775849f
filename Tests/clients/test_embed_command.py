"""nearfar embed: the lines of a file as vectors, without a service."""

import json
import re
import signal
import subprocess

import families
import numpy as np
import pytest
from golden import TEXTS, VECTORS, assert_vectors
from process import BINARY, MODEL, clean_environment, wait_until


def run(folder, *arguments, given=None):
    done = subprocess.run(
        [BINARY, "embed", "--model", MODEL, *arguments], cwd=folder, capture_output=True, timeout=300, input=given, env=clean_environment({}))
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def read(path):
    if str(path).endswith(".npy"):
        return np.load(path)
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    assert header.keys() == {"__metadata__", "embeddings"} and len(header["__metadata__"]["fingerprint"]) == 64
    assert header["embeddings"]["dtype"] == "F32" and header["embeddings"]["data_offsets"] == [0, len(content) - start]
    return np.frombuffer(content[start:], "f4").reshape(header["embeddings"]["shape"])


LINES = [text for text in TEXTS if "\n" not in text and "\r" not in text]


@pytest.mark.parametrize("name", ["v.npy", "v.safetensors"])
def test_the_vectors_are_those_of_the_service(server, tmp_path, name):
    (tmp_path / "t.txt").write_text("\n".join(LINES) + "\n", encoding="utf-8", newline="")
    code, out, errors = run(tmp_path, "--input", "t.txt", "--output", name)
    assert (code, out) == (0, ""), errors
    assert re.search(rf"^embedded {len(LINES)} texts in 0:\d\d, \S+/s, \d+ tokens$", errors, re.M), errors
    assert sorted(each.name for each in tmp_path.iterdir()) == ["t.txt", name]
    rows = read(tmp_path / name)
    assert_vectors(rows, np.stack([VECTORS[TEXTS.index(line)] for line in LINES]))
    assert np.array_equal(rows, np.array(server.ask("/embed", {"inputs": LINES}), "f4"))


def test_flags_are_those_of_the_service(server, tmp_path):
    (tmp_path / "t.txt").write_text("one\ntwo words\n")
    assert run(tmp_path, "--input", "t.txt", "--output", "a.npy", "--dimensions", "7")[0] == 0
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.array(server.ask("/embed", {"inputs": ["one", "two words"], "dimensions": 7}), "f4"))
    assert run(tmp_path, "--input", "t.txt", "--output", "b.npy", "--normalize", "false", "--threads", "1")[0] == 0
    assert np.array_equal(np.load(tmp_path / "b.npy"), np.array(server.ask("/embed", {"inputs": ["one", "two words"], "normalize": False}), "f4"))


def test_json_lines_and_standard_input(server, tmp_path):
    lines = [{"text": "a cat", "body": "a dog"}, {"body": "a bird", "text": "a \"fish\"\n"}]
    given = "\ufeff" + "\n\n".join(map(json.dumps, lines)) + "\n"
    (tmp_path / "t.jsonl").write_text(given, encoding="utf-8")
    for number, (flags, texts) in enumerate([(["--input", "t.jsonl"], ["a cat", 'a "fish"\n']), (["--input", "-", "--text-field", "body"], ["a dog", "a bird"])]):
        assert run(tmp_path, *flags, "--output", f"{number}.npy", given=given.encode())[0] == 0
        assert np.array_equal(np.load(tmp_path / f"{number}.npy"), np.array(server.ask("/embed", {"inputs": texts}), "f4"))


def test_each_line_of_a_text_file_is_a_row(server, tmp_path):
    (tmp_path / "t.txt").write_bytes(b"one\r\n\n \nlast without an end")
    assert run(tmp_path, "--input", "t.txt", "--output", "v.npy")[0] == 0
    assert np.array_equal(np.load(tmp_path / "v.npy"), np.array(server.ask("/embed", {"inputs": ["one", "", " ", "last without an end"]}), "f4"))
    (tmp_path / "t.txt").write_bytes(b"")
    assert run(tmp_path, "--input", "t.txt", "--output", "v.npy")[0] == 0
    assert np.load(tmp_path / "v.npy").shape == (0, 384)


def texts_of(count):
    return [f"line {number} says what number {number * number} is" for number in range(count)]


@pytest.mark.parametrize("name", ["v.npy", "v.safetensors"])
def test_a_killed_run_goes_on(server, tmp_path, name):
    texts = texts_of(9000)
    (tmp_path / "t.txt").write_text("\n".join(texts))
    arguments = ["--input", "t.txt", "--output", name, "--dimensions", "3"]
    progress = tmp_path / f"{name}.nearfar-progress"
    process = subprocess.Popen([BINARY, "embed", "--model", MODEL, *arguments], cwd=tmp_path, stderr=subprocess.DEVNULL, env=clean_environment({}))
    assert wait_until(progress.exists, seconds=120, pause=0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / name).exists() and (tmp_path / f"{name}.part").exists()
    # A row that was written only in part does not matter.
    with open(tmp_path / f"{name}.part", "ab") as part:
        part.write(b"xyz")
    code, _, errors = run(tmp_path, *arguments)
    assert code == 0 and re.search(r"going on behind line \d+", errors), errors
    done = int(re.search(r"embedded (\d+) texts in", errors)[1])
    assert done < 9000 and done == 9000 - int(re.search(r"behind line (\d+)", errors)[1])
    rows = read(tmp_path / name)
    answer = server.post("/embed", {"inputs": texts, "dimensions": 3}, headers={"Accept": "application/x-safetensors"}).content
    expected = np.frombuffer(answer[8 + int.from_bytes(answer[:8], "little") :], "f4").reshape(-1, 3)
    assert np.array_equal(rows, expected)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["t.txt", name]


def test_a_run_with_other_flags_or_another_input_starts_over(tmp_path):
    texts = texts_of(3000)
    (tmp_path / "t.txt").write_text("\n".join(texts) + "\n\xff", encoding="latin-1")
    arguments = ["--input", "t.txt", "--output", "v.npy"]
    code, _, errors = run(tmp_path, *arguments, "--dimensions", "3")
    assert code == 1 and "t.txt: line 3001: not UTF-8" in errors, errors
    assert (tmp_path / "v.npy.nearfar-progress").exists()
    (tmp_path / "t.txt").write_text("\n".join(texts) + "\n")
    code, _, errors = run(tmp_path, *arguments, "--dimensions", "3")
    # The line has been taken away, and what stood before it is kept.
    assert code == 0 and "going on behind line 3000" in errors and "embedded 0 texts in" in errors, errors
    assert np.load(tmp_path / "v.npy").shape == (3000, 3)

    (tmp_path / "t.txt").write_text("\n".join(texts) + "\n\xff", encoding="latin-1")
    assert run(tmp_path, *arguments, "--dimensions", "3")[0] == 1
    (tmp_path / "t.txt").write_text("\n".join(texts[1:]))
    for flags in [["--dimensions", "4"], ["--dimensions", "3"]]:
        code, _, errors = run(tmp_path, *arguments, *flags)
        assert code == 0
        if flags[1] == "4":
            assert "starting over" in errors
        assert np.load(tmp_path / "v.npy").shape == (2999, int(flags[1]))


@pytest.mark.parametrize(
    "content, flags, words",
    [
        (b'{"text": "a"}\n{"text": 1}\n', [], "t.jsonl: line 2: the field 'text' is not a string"),
        (b'{"text": "a"}\n\n{"x": "a"}\n', [], "t.jsonl: line 3: the field 'text' is missing"),
        (b"[1]\n", [], "t.jsonl: line 1: not a JSON object"),
        (b'{"text": "a"}\n{"text": \n', [], "t.jsonl: line 2: "),
        (b'{"text": "a"}\n{"text": "' + b"long " * 300 + b'"}\n', ["--truncate", "false"], "t.jsonl: line 2: the text has more than the model's 256 tokens"),
        (b"", ["--dimensions", "385"], "--dimensions must be at most 384"),
        (b"", ["--prompt-name", "none"], "the model has no prompt 'none'"),
    ],
)
def test_what_cannot_be_embedded_is_named(tmp_path, content, flags, words):
    (tmp_path / "t.jsonl").write_bytes(content)
    code, out, errors = run(tmp_path, "--input", "t.jsonl", "--output", "v.npy", *flags)
    assert (code, out) == (1, "") and words in errors, errors
    assert not (tmp_path / "v.npy").exists()


def test_a_blank_line_is_named_where_it_has_no_tokens(tmp_path):
    """A static encoder without special tokens has no vector for it that could be normalised."""
    (tmp_path / "t.txt").write_text("a\nb\n\nc\n")
    flags = ["--input", "t.txt", "--output", "v.npy", "--model", families.path("static-model2vec")]
    code, out, errors = run(tmp_path, *flags)
    assert (code, out) == (1, "") and "t.txt: line 3: the text has no tokens with vectors of this model" in errors, errors
    assert run(tmp_path, *flags, "--normalize", "false")[0] == 0
    rows = np.load(tmp_path / "v.npy")
    assert rows.shape == (4, 32) and (rows[2] == 0).all() and (rows[[0, 1, 3]] != 0).any(axis=1).all()


def test_files_that_cannot_be_used(tmp_path):
    (tmp_path / "t.txt").write_text("a\n")
    assert run(tmp_path, "--input", "none.txt", "--output", "v.npy")[0] == 1
    code, _, errors = run(tmp_path, "--input", "t.txt", "--output", "v.csv")
    assert code == 2 and "--output must be a name that ends in .safetensors or .npy, not" in errors
    code, _, errors = run(tmp_path, "--input", "t.txt", "--output", "none/v.npy")
    assert code == 1 and "none/v.npy.part" in errors
    done = subprocess.run(
        [BINARY, "embed", "--model", "none", "--input", "t.txt", "--output", "v.npy"], cwd=tmp_path, capture_output=True, timeout=60, env=clean_environment({}))
    assert done.returncode == 1 and b"--model none: " in done.stderr


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path):
    (tmp_path / "t.txt").write_text("\n".join(texts_of(4000)))
    # /dev/full cannot be renamed into place, so that a limit of the file's size stands for the disk's.
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 2048; trap "" XFSZ; exec "$@"', "bash", BINARY, "embed", "--model", MODEL, "--input", "t.txt", "--output", "v.npy"],
        cwd=tmp_path, capture_output=True, timeout=120, env=clean_environment({}))
    assert done.returncode == 1 and b"cannot write v.npy.part: File too large" in done.stderr, done.stderr
    code, _, errors = run(tmp_path, "--input", "t.txt", "--output", "v.npy")
    assert code == 0 and "going on behind line 1024" in errors, errors
    assert np.load(tmp_path / "v.npy").shape == (4000, 384)
