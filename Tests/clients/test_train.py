"""nearfar train: a model is trained, watched and written, and mistakes are named."""

import json
import re
import resource
import shutil
import subprocess
from html.parser import HTMLParser

import families
import numpy as np
import pytest
from process import BINARY, Server, clean_environment
from training import MODEL, contents, metrics, names, pairs, tensors, train, write_data, write_lines

BASE = ["--model", MODEL, "--pairs", "pairs.jsonl", "--batch", 16, "--lr", "2e-3"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def trained(data):
    """A run with evaluations, and what it said."""
    done = train(*BASE, "--epochs", 4, "--eval", "held.jsonl", "--eval-every", 10, "--output", "trained", folder=data)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return data / "trained", done.stderr


def test_a_run_learns(trained):
    folder, _ = trained
    steps, evaluations = metrics(folder)
    assert [line["step"] for line in steps] == list(range(1, len(steps) + 1)) and len(steps) >= 58
    losses = [line["loss"] for line in steps]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert np.mean([line["accuracy"] for line in steps[-5:]]) > np.mean([line["accuracy"] for line in steps[:5]]) + 0.2
    assert all(line["temperature"] == pytest.approx(0.05) and line["gradient_norm"] > 0 for line in steps)
    assert steps[0]["pairs"] == 16 and 16 * 12 < steps[0]["tokens"] < 16 * 24
    # The rate rises over a tenth of the steps and then falls to 0.
    rates = [line["learning_rate"] for line in steps]
    rise = -(-len(steps) // 10)
    assert rates[0] == 0 and rates[rise] == 2e-3 == max(rates) and rates[-1] < 1e-4
    assert steps[-1]["epoch"] == pytest.approx(4, abs=0.1)
    assert [line["step"] for line in evaluations] == [*range(0, len(steps) + 1, 10), *([len(steps)] if len(steps) % 10 else [])]
    first, best = evaluations[0]["evaluation"], max((line["evaluation"] for line in evaluations), key=lambda each: each["mean_reciprocal_rank"])
    assert best["mean_reciprocal_rank"] > first["mean_reciprocal_rank"] + 0.2
    assert best["recall_at_10"] >= best["recall_at_1"] > first["recall_at_1"]


def test_the_folder_is_a_model(trained, tmp_path):
    folder, _ = trained
    assert names(folder) == [
        "1_Pooling", "config.json", "config_sentence_transformers.json", "metrics.jsonl", "model.safetensors", "modules.json", "report.html",
        "sentence_bert_config.json", "times.jsonl", "tokenizer.json"]
    before, after = tensors(MODEL), tensors(folder)
    assert after.keys() == before.keys() and all(after[name].shape == before[name].shape for name in before)
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert "embeddings.word_embeddings.weight" in changed and len(changed) > 30
    (tmp_path / "t.txt").write_text("a red cat\nthe old door\n")
    done = subprocess.run(
        [BINARY, "embed", "--model", folder, "--input", "t.txt", "--output", "v.npy"], cwd=tmp_path, capture_output=True, env=clean_environment({}))
    assert done.returncode == 0, done.stderr
    with Server(model=str(folder)) as server:
        rows = np.array(server.ask("/embed", {"inputs": ["a red cat", "the old door"]}), "f4")
    assert np.array_equal(rows, np.load(tmp_path / "v.npy")) and np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_the_evaluation_is_that_of_the_model_which_is_written(trained, data):
    """The service's vectors of the written model give the best values of the file of metrics."""
    folder, said = trained
    held = [json.loads(line) for line in (data / "held.jsonl").read_text().splitlines()]
    documents = list(dict.fromkeys(pair["positive"] for pair in held))
    with Server(model=str(folder)) as server:
        queries = np.array(server.ask("/embed", {"inputs": [pair["query"] for pair in held]}), "f8")
        rows = np.array(server.ask("/embed", {"inputs": documents}), "f8")
    scores = queries @ rows.T
    own = np.array([documents.index(pair["positive"]) for pair in held])
    ranks = 1 + (scores >= scores[np.arange(len(held)), own][:, None]).sum(1) - 1
    _, evaluations = metrics(folder)
    best = max((line["evaluation"] for line in evaluations), key=lambda each: each["mean_reciprocal_rank"])
    assert best["mean_reciprocal_rank"] == pytest.approx((1 / ranks).mean(), abs=1e-3)
    assert best["recall_at_1"] == pytest.approx((ranks == 1).mean(), abs=0.026)
    assert best["recall_at_10"] == pytest.approx((ranks <= 10).mean(), abs=0.026)
    assert best["alignment"] == pytest.approx(((queries - rows[own]) ** 2).sum(1).mean(), rel=1e-4)


def test_what_is_said(trained):
    _, said = trained
    assert re.search(r"^240 examples, \d+ different texts, \d+ steps, \d+ trained values, 40 held-out pairs$", said, re.M), said
    assert re.search(r"^step 0: recall@1 \d+\.\d\d %, recall@10 \d+\.\d\d %, MRR 0\.\d{4}, alignment \d\.\d{3}, uniformity -?\d\.\d{3} \(the best so far\)$", said, re.M)
    assert re.search(r"^\[#{24}\] step (\d+) of \1, loss \d+\.\d{4}, accuracy \d+\.\d %, \S+ pairs/s, \S+ tokens/s, 0:00 left$", said, re.M)


class Page(HTMLParser):
    """Collects the elements of a page and checks that they are closed in order."""

    VOID = {"meta", "line", "rect", "circle", "polyline", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.texts = [], [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in self.VOID or tag == "rect" or tag == "circle":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, text):
        self.texts.append(text)


def test_the_report(trained):
    folder, _ = trained
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert not [tag for tag, attributes in page.seen if tag in ("script", "link", "img", "iframe") or {"src", "href"} & attributes.keys()]
    titles = {"Loss", "Accuracy in the batch", "Learning rate", "Norm of the gradients", "Temperature", "Retrieval", "Alignment and uniformity"}
    assert titles <= set(page.texts)
    assert sum(tag == "rect" for tag, _ in page.seen) == 2 * 20 * 20
    steps, evaluations = metrics(folder)
    assert f"{steps[0]['loss']:.4f} → {steps[-1]['loss']:.4f}" in "".join(page.texts)
    assert f"{100 * evaluations[0]['evaluation']['recall_at_1']:.2f} %" in page.texts
    own = page.texts.count("(its own)")
    assert own >= 8
    for name, value in [("--objective", "infonce"), ("--batch", "16"), ("--lr", "0.002"), ("--seed", "42")]:
        assert f"<th>{name}</th><td>{value}</td>" in text


def test_texts_in_a_report_are_shown_as_they_are(data, tmp_path):
    lines = pairs(30)
    lines[0] = {"query": "<script>alert('cat')</script>", "positive": "猫はドアの近く & \"cat\""}
    write_lines(tmp_path / "pairs.jsonl", lines)
    done = train(*BASE, "--steps", 2, "--output", "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in text and "&lt;script&gt;alert(&#39;cat&#39;)&lt;/script&gt;" in text
    assert '<td dir="auto" lang="ja">猫はドアの近く &amp; &quot;cat&quot;</td>' in text


def test_the_same_call_gives_the_same_bytes(trained, data):
    """Whatever the number of threads and the memory for activations; another seed gives another model."""
    flags = [*BASE, "--epochs", 1, "--eval", "held.jsonl", "--eval-every", 5]
    results = []
    for number, more in enumerate([["--threads", 1], ["--threads", 3], ["--chunk-tokens", 1], ["--seed", 43]]):
        done = train(*flags, *more, "--output", f"same-{number}", folder=data)
        assert done.returncode == 0, done.stderr
        results.append(contents(data / f"same-{number}"))
    assert results[0] == results[1] == results[2] != results[3]


@pytest.mark.parametrize("objective", ["infonce", "symmetric", "nt_xent", "dcl", "sigmoid", "simsiam", "byol", "moco"])
def test_every_objective_runs(data, objective):
    # The predictor, which begins at random, has to learn as well.
    rate = "2e-2" if objective in ("simsiam", "byol") else "2e-3"
    done = train(*BASE, "--lr", rate, "--objective", objective, "--steps", 20, "--output", objective, folder=data)
    assert done.returncode == 0, done.stderr
    steps, _ = metrics(data / objective)
    assert len(steps) == 20 and all(np.isfinite(line["loss"]) for line in steps)
    assert np.mean([line["loss"] for line in steps[-3:]]) < np.mean([line["loss"] for line in steps[:3]]) or objective == "moco"
    assert ("temperature" in steps[0]) == (objective not in ("simsiam", "byol"))


def test_labels_and_texts(data, tmp_path):
    lines = [{**pair, "label": pair["positive"].split()[1]} for pair in pairs(120)]
    write_lines(tmp_path / "pairs.jsonl", lines)
    done = train(*BASE, "--objective", "supcon", "--steps", 6, "--output", "supcon", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "texts.txt").write_text("".join(pair["query"] + "\n" for pair in lines))
    flags = ["--model", MODEL, "--texts", "texts.txt", "--batch", 16, "--lr", "1e-3", "--steps", 6]
    done = train(*flags, "--output", "simcse", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    # Without dropout both views are the same.
    steps, _ = metrics(tmp_path / "simcse")
    done = train(*flags, "--dropout", 0, "--output", "plain", folder=tmp_path)
    assert done.returncode == 0 and metrics(tmp_path / "plain")[0][0]["loss"] < steps[0]["loss"]


def test_products_in_bf16(data):
    losses = []
    for precision in ("f32", "bf16"):
        done = train(*BASE, "--steps", 10, "--precision", precision, "--output", precision, folder=data)
        assert done.returncode == 0, done.stderr
        losses.append(np.array([line["loss"] for line in metrics(data / precision)[0]]))
    assert 0 < np.abs(losses[0] - losses[1]).max() < 0.1


def test_adapters_frozen_layers_and_a_learned_temperature(data):
    before = tensors(MODEL)

    def changed(name):
        after = tensors(data / name)
        assert after.keys() == before.keys()
        return [each for each in before if not np.array_equal(before[each], after[each])]

    done = train(*BASE, "--steps", 5, "--lora", 4, "--temperature", "learned:0.1", "--output", "lora", folder=data)
    assert done.returncode == 0, done.stderr
    assert changed("lora") and all(name.startswith("encoder.layer") and before[name].ndim == 2 for name in changed("lora"))
    temperatures = [line["temperature"] for line in metrics(data / "lora")[0]]
    assert temperatures[0] == pytest.approx(0.1) and len(set(temperatures)) > 2
    done = train(*BASE, "--steps", 5, "--freeze", 1, "--layer-decay", 0.5, "--output", "frozen", folder=data)
    assert done.returncode == 0, done.stderr
    assert changed("frozen") and all(name.startswith("encoder.layer.1.") for name in changed("frozen"))


@pytest.mark.parametrize("flags", [["--model", MODEL], ["--static", "--teacher", families.path("bert-mean"), "--dimensions", 16]])
def test_the_model_keeps_the_prompts_that_it_was_trained_with(data, flags):
    name = "prompts-static" if "--static" in flags else "prompts"
    given = ["--query-prompt", "the river ", "--document-prompt", "an old hill "]
    done = train(*flags, *BASE[2:], "--steps", 2, *given, "--output", name, folder=data)
    assert done.returncode == 0, done.stderr
    settings = json.loads((data / name / "config_sentence_transformers.json").read_text())
    assert settings["prompts"] == {"query": "the river ", "document": "an old hill "}
    with Server(model=str(data / name)) as server:
        for role, prompt in settings["prompts"].items():
            rows = server.ask("/embed", {"inputs": ["a red cat"], "input_type": role})
            assert rows == server.ask("/embed", {"inputs": [f"{prompt}a red cat"]})
            assert rows != server.ask("/embed", {"inputs": ["a red cat"]})


def table_rows(folder):
    inner = folder / "0_StaticEmbedding"
    return tensors(inner)["embedding.weight"]


@pytest.mark.parametrize("source", [["--model", MODEL], ["--teacher", families.path("bert-mean")]])
def test_tables_of_vectors(data, tmp_path, source):
    """From nothing, and from a teacher: both learn, and the service loads them."""
    flags = ["--static", *source, "--pairs", "pairs.jsonl", "--eval", "held.jsonl", "--dimensions", 16, "--batch", 16, "--epochs", 8]
    name = source[0][2:]
    done = train(*flags, "--output", f"static-{name}", folder=data)
    assert done.returncode == 0, done.stderr
    steps, evaluations = metrics(data / f"static-{name}")
    assert np.mean([line["loss"] for line in steps[-5:]]) < 0.8 * np.mean([line["loss"] for line in steps[:5]])
    assert table_rows(data / f"static-{name}").shape[1] == 16
    if source[0] == "--model":
        assert evaluations[-1]["evaluation"]["mean_reciprocal_rank"] > evaluations[0]["evaluation"]["mean_reciprocal_rank"] + 0.1
    with Server(model=str(data / f"static-{name}")) as server:
        rows = np.array(server.ask("/embed", {"inputs": ["a red cat", "the old door"]}), "f4")
    assert rows.shape == (2, 16) and np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert train(*flags, "--threads", 1, "--output", f"again-{name}", folder=data).returncode == 0
    assert np.array_equal(table_rows(data / f"static-{name}"), table_rows(data / f"again-{name}"))


def test_a_table_has_no_more_values_than_its_teacher(data):
    flags = ["--static", "--teacher", families.path("bert-mean"), "--pairs", "pairs.jsonl", "--dimensions", 1000]
    done = train(*flags, "--output", "wide", folder=data)
    assert done.returncode == 1 and "--dimensions must be from 1 to the teacher's 32" in done.stderr, done.stderr


def test_early_stopping_keeps_the_best(data):
    """A rate that is far too high makes the model worse than it was: what is written is the model of step 0."""
    done = train(
        *BASE[:-2], "--lr", 1, "--warmup", 0, "--epochs", 20, "--eval", "held.jsonl", "--eval-every", 2, "--patience", 3, "--output", "early", folder=data)
    assert done.returncode == 0, done.stderr
    _, evaluations = metrics(data / "early")
    values = [line["evaluation"]["mean_reciprocal_rank"] for line in evaluations]
    best = values.index(max(values))
    assert len(values) == best + 4 and evaluations[-1]["step"] < 300
    assert f"the model is that of step {evaluations[best]['step']}" in done.stderr
    if best == 0:
        after = tensors(data / "early")
        assert all(np.array_equal(value, after[name]) for name, value in tensors(MODEL).items())


@pytest.mark.parametrize(
    "content, words",
    [
        ('{"query": "a", "positive": "b"}\n{"query": "a"}\n', 'bad.jsonl: line 2: "positive" is missing'),
        ('{"query": "a", "positive": "b"}\n\n{"query": "", "positive": "b"}\n', "bad.jsonl: line 3: the query is empty"),
        ('{"query": "a", "positive": ["b"]}\n', 'bad.jsonl: line 1: "positive" must be a string'),
        ('{"query": "a", "positive": "b"\n', "bad.jsonl: line 1: not valid JSON"),
        ("", "bad.jsonl: has no examples"),
        ('{"query": "a", "positive": "b"}\n', "make no batch of two"),
    ],
)
def test_a_bad_line_is_named(tmp_path, content, words):
    (tmp_path / "bad.jsonl").write_text(content)
    done = train("--model", MODEL, "--pairs", "bad.jsonl", "--output", "out", folder=tmp_path)
    assert done.returncode == 1 and words in done.stderr, done.stderr
    write_lines(tmp_path / "good.jsonl", pairs(8))
    if "batch" not in words:
        done = train("--model", MODEL, "--pairs", "good.jsonl", "--eval", "bad.jsonl", "--output", "out", folder=tmp_path)
        assert done.returncode == 1 and words in done.stderr, done.stderr


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--objective", "triplet"], "--objective must be one of infonce, symmetric, nt_xent, dcl, supcon, sigmoid, simsiam, byol, moco, not 'triplet'"),
        (["--temperature", "0"], "--temperature must be a number above 0, learned, or learned:N with the first value, not '0'"),
        (["--temperature", "learnt"], "--temperature must be"),
        (["--warmup", "1.5"], "--warmup must be a share of all steps with a point, from 0.0 to 1.0, or a whole number of steps, not '1.5'"),
        (["--lr", "0"], "--lr must be a number above 0, at most 10, not '0'"),
        (["--patience", "2"], "--eval-every and --patience need --eval"),
        (["--texts", "t.txt"], "one of --pairs and --texts is required"),
        (["--momentum", "0.9"], "--momentum is for moco and byol"),
        (["--lora-alpha", "8"], "--lora-alpha needs --lora"),
        (["--teacher", "x"], "--teacher and --dimensions need --static"),
        (["--static", "--teacher", "x"], "--static needs one of --teacher, and --model for its tokenizer"),
        (["--static", "--lora", "4"], "--lora, --freeze and --precision bf16 are for layers, which --static has not"),
        (["--static", "--precision", "bf16"], "--lora, --freeze and --precision bf16 are for layers, which --static has not"),
        (["--batch", "1"], "--batch must be a whole number from 2"),
    ],
)
def test_a_wrong_call(tmp_path, flags, words):
    done = train(*BASE, "--output", "out", *flags, folder=tmp_path)
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert names(tmp_path) == []


def test_options_that_do_not_fit(data, tmp_path):
    done = train(*BASE, "--objective", "simsiam", "--temperature", "learned", "--output", "out", folder=data)
    assert done.returncode == 1 and "--temperature simsiam has no temperature" in done.stderr, done.stderr
    done = train(*BASE, "--objective", "supcon", "--output", "out2", folder=data)
    assert done.returncode == 1 and "--objective supcon needs a label in each line" in done.stderr, done.stderr


def test_broken_models(data, tmp_path):
    write_lines(tmp_path / "pairs.jsonl", pairs(8))
    for name, damage, words in [
        ("none", None, "config.json"),
        ("cut", lambda folder: (folder / "model.safetensors").write_bytes((MODEL / "model.safetensors").read_bytes()[:5000]), "model.safetensors"),
        ("config", lambda folder: (folder / "config.json").write_text("{"), "config.json"),
        ("tokenizer", lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
    ]:
        if damage:
            shutil.copytree(MODEL, tmp_path / name)
            damage(tmp_path / name)
        done = train("--model", name, "--pairs", "pairs.jsonl", "--output", f"{name}-out", folder=tmp_path)
        assert done.returncode == 1 and words in done.stderr and f"{name}" in done.stderr, done.stderr
        assert not (tmp_path / f"{name}-out").exists()
    # The trained model could not be served.
    shutil.copytree(families.path("roberta-sqrt-f16"), tmp_path / "cased")
    settings = tmp_path / "cased" / "sentence_bert_config.json"
    settings.write_text(settings.read_text().replace('"do_lower_case": false', '"do_lower_case": true'))
    done = train("--model", "cased", "--pairs", "pairs.jsonl", "--output", "cased-out", folder=tmp_path)
    assert done.returncode == 1 and "sentence_bert_config.json: do_lower_case" in done.stderr, done.stderr


def test_a_folder_that_is_not_the_run_s(trained, data, tmp_path):
    folder, _ = trained
    flags = [*BASE, "--steps", 2]
    other = data / "foreign"
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    for more in ([], ["--resume"]):
        done = train(*flags, *more, "--output", other, folder=data)
        assert done.returncode == 1 and f"--output {other} has files that are not of a training" in done.stderr, done.stderr
    assert names(other) == ["thesis.tex"]
    done = train(*flags, "--output", MODEL, folder=data)
    assert done.returncode == 1 and "not of a training" in done.stderr
    before = contents(folder)
    done = train(*flags, "--output", folder, folder=data)
    assert done.returncode == 1 and "has a model that was trained before" in done.stderr
    done = train(*flags, "--output", folder, "--resume", folder=data)
    assert done.returncode == 0 and "there is nothing to do" in done.stderr
    assert contents(folder) == before
    done = train(*flags, "--output", data / "pairs.jsonl" / "x", folder=data)
    assert done.returncode == 1 and "pairs.jsonl" in done.stderr


def test_a_full_disk_is_told(data):
    """Writing stops at a size below that of a checkpoint."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = train(*BASE, "--steps", 4, "--checkpoint-every", 2, "--output", "full", folder=data, before=limit)
    assert done.returncode == 1 and re.search(r"full/checkpoints/\S+: cannot be written: File too large", done.stderr), done.stderr
    assert not (data / "full" / "model.safetensors").exists()
    done = train(*BASE, "--steps", 4, "--checkpoint-every", 2, "--output", "full", "--resume", folder=data)
    assert done.returncode == 0, done.stderr
    assert train(*BASE, "--steps", 4, "--output", "roomy", folder=data).returncode == 0
    assert contents(data / "full") == contents(data / "roomy")


def test_values_that_are_not_finite_stop_the_run(data, tmp_path):
    shutil.copytree(MODEL, tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    first, last = header["embeddings.word_embeddings.weight"]["data_offsets"]
    # The row of "wind", which some texts have.
    width = (last - first) // 29
    content[start + last - width : start + last] = np.full(width // 4, np.float32(3e38)).tobytes()
    path.write_bytes(content)
    done = train("--model", path.parent, *BASE[2:], "--output", "nan", folder=data)
    assert done.returncode == 1 and "not finite" in done.stderr, done.stderr
