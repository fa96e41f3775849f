"""Flags and environment variables of `nearfar serve`, and how a start fails."""

import numpy
import pytest
from problems import problem
from process import MODEL, Server, run_to_the_end, wait_until


@pytest.mark.parametrize(
    "flag, value",
    [
        ("--port", "abc"),
        ("--port", "70000"),
        ("--port", "-1"),
        ("--port", "+80"),
        ("--port", ""),
        ("--host", "not an address"),
        ("--model", "/no/such/folder"),
        ("--precision", "f7"),
        ("--threads", "0"),
        ("--threads", "-2"),
        ("--threads", "two"),
        ("--max-body-bytes", "0"),
        ("--max-body-bytes", "1e6"),
        ("--max-body-bytes", "99999999999999999999"),
        ("--max-connections", "0"),
        ("--loops", "0"),
        ("--loops", "65"),
        ("--max-inputs", "0"),
        ("--max-k", "x"),
        ("--idle-timeout", "-1"),
        ("--idle-timeout", "soon"),
        ("--idle-timeout", "nan"),
        ("--drain-timeout", "-1"),
        ("--drain-timeout", "inf"),
        ("--log-format", "xml"),
    ],
)
def test_a_bad_value_stops_the_start(flag, value):
    flags = {"--port": "0", "--model": MODEL, flag: value}
    code, printed = run_to_the_end("serve", *(part for pair in flags.items() for part in pair))
    # A bad address or folder is found only by starting, which then fails (1). Any other bad value is a wrong call (2).
    assert code == (1 if flag in ("--host", "--model") else 2), printed
    assert flag in printed
    assert "nearfar ready" not in printed


@pytest.mark.parametrize("flag", ["--prot", "--portx"])
def test_an_unknown_flag_stops_the_start(flag):
    code, printed = run_to_the_end("serve", "--model", MODEL, flag, "0")
    assert code == 2
    assert flag in printed


def test_a_flag_without_its_value():
    code, printed = run_to_the_end("serve", "--model", MODEL, "--port")
    assert code == 2
    assert "--port" in printed


@pytest.mark.parametrize(
    "flags, reason",
    [
        (["--store", "mysql://u:secret@h/d"], "--store: must be the address of a database, postgresql://USER@HOST:PORT/NAME"),
        (["--store", "postgresql://h/d", "--data", "d"], "--data and --store exclude each other"),
        (["--follow"], "--follow needs --store URL"),
        (["--snapshot-dir", "d"], "--snapshot-dir needs --store URL"),
        (["--store-listen", "postgresql://h/d"], "--store-listen needs --store URL"),
        (["--store", "postgresql://h/d", "--low-memory"], "--low-memory keeps vectors in a file and, with --store, needs --snapshot-dir DIR"),
    ],
)
def test_flags_of_the_database_that_do_not_fit(flags, reason):
    code, printed = run_to_the_end("serve", "--port", "0", "--model", MODEL, *flags)
    assert code == 2
    assert reason in printed
    assert "secret" not in printed


def test_a_wrong_address_in_a_variable_is_not_shown():
    code, printed = run_to_the_end("serve", "--model", MODEL, environment={"NEARFAR_STORE": "u:secret@h/d"})
    assert code == 2
    assert "NEARFAR_STORE" in printed
    assert "secret" not in printed


@pytest.mark.parametrize("place", ["no/such/folder", "file"])
def test_a_data_folder_that_cannot_be_is_named(tmp_path, place):
    (tmp_path / "file").write_text("")
    code, printed = run_to_the_end("serve", "--port", "0", "--model", MODEL, "--data", str(tmp_path / place))
    assert code == 1
    assert "--data" in printed
    assert str(tmp_path / place) in printed


def test_a_data_folder_keeps_collections(tmp_path):
    folder = str(tmp_path / "data")
    with Server("--data", folder) as server:
        assert server.get("/info").json()["data"] == folder
        assert server.put("/collections/c", {"dim": 2, "metric": "euclidean"}).status_code == 201
        points = [{"id": "a", "vector": [0, 0]}, {"id": "b", "vector": [3, 4], "metadata": {"n": 1}}]
        assert server.put("/collections/c/points", {"points": points}).json() == {"version": 1, "upserted": 2}
    with Server("--data", folder) as server:
        described = server.get("/collections/c").json()
        assert (described["count"], described["version"], described["metric"]) == (2, 1, "euclidean")
        found = server.ask("/neighbors", {"collection": "c", "vectors": [[3, 0]], "k": 2})
        assert [(hit["id"], hit["score"]) for hit in found["results"][0]] == [("a", -3), ("b", -4)]
        assert server.get("/info").json()["collections"] == {"c": 2, "default": 0}


def test_an_unknown_command():
    code, printed = run_to_the_end("servve")
    assert code == 2
    assert "servve" in printed


def test_a_taken_port_stops_the_start(server):
    code, printed = run_to_the_end("serve", "--port", str(server.port), "--model", MODEL)
    assert code == 1
    assert str(server.port) in printed


@pytest.mark.parametrize(
    "variable, value", [("NEARFAR_PORT", "abc"), ("NEARFAR_THREADS", "0"), ("NEARFAR_PRECISION", "f7")]
)
def test_a_bad_variable_stops_the_start(variable, value):
    code, printed = run_to_the_end("serve", "--model", MODEL, environment={"NEARFAR_PORT": "0", variable: value})
    assert code == 2
    assert variable in printed and "--" + variable[8:].lower() in printed


def test_flag_over_variable_over_default():
    environment = {"NEARFAR_PORT": "0", "NEARFAR_MODEL": MODEL, "NEARFAR_MAX_BODY_BYTES": "3000", "NEARFAR_MAX_K": "7"}
    with Server("--max-k", "9", environment=environment, model=None) as server:
        limits = server.get("/info").json()["limits"]
        assert (limits["max_body_bytes"], limits["max_k"], limits["max_inputs"]) == (3000, 9, 100000)
        assert server.post("/embed", {"inputs": "a"}).status_code == 200
        found = problem(server.post("/embed", {"inputs": "a" * 4000}), 413)
        assert "3000" in found["detail"].replace(",", "")
        query = {"vectors": [[1] * 384]}
        assert server.post("/neighbors", {**query, "k": 9}).status_code == 200
        assert "9" in problem(server.post("/neighbors", {**query, "k": 10}), 422, "k")["detail"]


def test_a_chunked_body_over_the_limit():
    with Server("--max-body-bytes", "3000") as server:
        pieces = (b" " * 1000 for _ in range(5))
        answer = server.request("POST", "/embed", data=pieces, headers={"Content-Type": "application/json"})
        problem(answer, 413)
        assert server.post("/embed", {"inputs": "a"}).status_code == 200


def test_each_limit_is_a_flag():
    flags = ["--max-inputs", "3", "--max-input-chars", "5", "--max-dim", "4", "--max-json-depth", "6"]
    with Server(*flags) as server:
        assert server.post("/embed", {"inputs": ["a"] * 3}).status_code == 200
        problem(server.post("/embed", {"inputs": ["a"] * 4}), 413, "inputs")
        problem(server.post("/embed", {"inputs": ["abcde", "abcdef"]}), 413, "inputs[1]")
        problem(server.post("/loss", {"queries": [[1] * 5], "keys": [[1] * 5]}), 422, "queries")
        problem(server.put("/collections/wide", {"dim": 5, "metric": "cosine"}), 422, "dim")
        problem(server.post("/embed", {"inputs": [[[[[["a"]]]]]]}), 400)


TEXTS = ["Paris", "The capital of France is Paris.", "東京は日本の首都です。", "def f(x): return x * x", "weather " * 60]


@pytest.mark.parametrize("precision, lowest, dtype", [("bf16", 0.9999, "bfloat16"), ("int8", 0.995, "int8")])
def test_a_precision_is_used_and_measured(server, precision, lowest, dtype):
    exact = numpy.array(server.ask("/embed", {"inputs": TEXTS}))
    with Server("--precision", precision) as other:
        info = other.get("/info").json()
        assert (info["precision"], info["precision_reason"], info["model_dtype"]) == (precision, "as asked for", dtype)
        accuracy = info["precision_accuracy"]
        assert lowest <= accuracy["lowest_cosine"] <= accuracy["mean_cosine"] < 1 and accuracy["texts"] == 8
        line = f"the encoder computes in {precision}, as asked for; lowest cosine to f32 on 8 texts: 0.99"
        assert wait_until(lambda: line in other.errors())
        rows = numpy.array(other.ask("/embed", {"inputs": TEXTS}))
        assert info["model"] == server.get("/info").json()["model"]
        body = {"inputs": TEXTS}
        assert other.post("/embed", body).content == other.post("/embed", body).content
        alone = [other.ask("/embed", {"inputs": text})[0] for text in TEXTS]
        assert alone == rows.tolist()
    cosines = (rows * exact).sum(1)
    assert cosines.min() >= lowest and not numpy.array_equal(rows, exact)


def test_the_precision_is_chosen_for_the_processor():
    with Server("--precision", "auto") as server:
        info = server.get("/info").json()
        native = info["cpu"]["kernels"] in ("avx512_bf16", "amx")
        assert info["precision"] == ("bf16" if native else "f32")
        assert info["precision_reason"].startswith("because this processor has ")
        assert (info["precision_accuracy"] is None) == (not native)
        line = f"the encoder computes in {info['precision']}, because this processor has "
        assert wait_until(lambda: line in server.errors())


def test_data_in_memory_and_f32_can_be_named():
    with Server("--data", ":memory:", "--precision", "f32", "--host", "127.0.0.1", "--log-format", "json") as server:
        info = server.get("/info").json()
        assert (info["precision"], info["precision_reason"], info["precision_accuracy"]) == ("f32", "as asked for", None)


def test_threads_do_not_change_a_byte(server):
    body = {"inputs": ["one", "two words", "three words here"] * 20}
    expected = server.post("/embed", body).content
    for threads in ("1", "2"):
        with Server("--threads", threads) as other:
            assert other.get("/info").json()["threads"] == int(threads)
            assert other.post("/embed", body).content == expected


def test_one_line_on_standard_output():
    server = Server()
    server.get("/livez")
    assert server.stop() == 0
    assert [line for line in server.lines if line.startswith("nearfar ready")] == [f"nearfar ready {server.url}\n"]
