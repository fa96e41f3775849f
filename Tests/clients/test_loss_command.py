"""`nearfar loss`, which reads the batch from files and answers as /loss does, without a service."""

import json
import subprocess

import numpy as np
import pytest
from process import BINARY, clean_environment
from tensors import pack, unpack
from test_objectives import CASES, EVERYTHING, check

FLAGS = ("temperature", "normalize", "in_batch_negatives", "bias", "objective")


def run(*arguments):
    return subprocess.run(
        [BINARY, "loss", *map(str, arguments)], capture_output=True, timeout=60, env=clean_environment()
    )


def write(folder, name, array, inside=None):
    path = folder / f"{name}.safetensors"
    path.write_bytes(pack({inside or name: array}))
    return [f"--{name}", path]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_objective(tmp_path, case):
    arguments = []
    for name in ("queries", "keys", "negatives", "queue"):
        if name in case:
            arguments += write(tmp_path, name, np.array(case[name], "<f4"))
    for name in ("positives", "labels"):
        if name in case["options"]:
            arguments += write(tmp_path, name, np.array(case["options"][name], "<i8"))
    for name in FLAGS:
        if name in case["options"]:
            arguments.append(f"--{name.replace('_', '-')}={str(case['options'][name]).lower()}")
    output = tmp_path / "out.safetensors"
    done = run(*arguments, "--return", ",".join(EVERYTHING), "--output", output, "--threads", 2)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    check(answer["loss"], case["loss"], case["temperature"])
    check(answer["per_row"], case["per_row"], case["temperature"])
    found, said = unpack(output.read_bytes())
    assert set(answer["gradients"]) == set(case["gradients"])
    for name, expected in case["gradients"].items():
        check(answer["gradients"][name], expected, case["temperature"])
        check(found[f"gradients.{name}"], expected, case["temperature"])
    assert said["objective"] == case["options"]["objective"]


def test_the_answer_is_that_of_the_service(server, tmp_path):
    rows = np.random.default_rng(3).standard_normal((2, 30, 8)).astype("<f4")
    done = run(*write(tmp_path, "queries", rows[0], "a"), *write(tmp_path, "keys", rows[1], "b"), "--return=per_row")
    body = {"queries": rows[0].tolist(), "keys": rows[1].tolist(), "return": ["per_row"]}
    assert done.stdout == server.post("/loss", body).content + b"\n"


def test_gradients_in_the_file_alone(tmp_path):
    rows = np.eye(3, dtype="<f4")
    files = [*write(tmp_path, "queries", rows), *write(tmp_path, "keys", rows)]
    done = run(*files, "--output", tmp_path / "out")
    assert "gradients" not in json.loads(done.stdout)
    assert unpack((tmp_path / "out").read_bytes())[0]["gradients.queries"].shape == (3, 3)


def test_failures_name_their_cause(tmp_path):
    rows = np.eye(3, dtype="<f4")
    queries, keys = write(tmp_path, "queries", rows), write(tmp_path, "keys", rows)
    broken = tmp_path / "broken"
    broken.write_bytes(pack({"keys": (rows + [[0], [np.nan], [0]]).astype("<f4")}))
    several = tmp_path / "several"
    several.write_bytes(pack({"a": rows, "b": rows}))
    for arguments, status, cause in [
        ([], 2, "--queries"),
        # Flags that do not fit together are a wrong call, like an unknown flag.
        (queries, 2, "--keys: infonce needs it"),
        ([*queries, *keys, "--temperature", 0], 2, "--temperature: must be a positive number"),
        ([*queries, *keys, "--temperature", "warm"], 2, "--temperature must be a number, not 'warm'"),
        ([*queries, *keys, "--objective", "mse"], 2, "--objective must be one of infonce, symmetric, nt_xent"),
        ([*queries, *keys, "--objective", "moco"], 2, "--queue: moco needs"),
        ([*queries, *keys, "--bias", -1], 2, "--bias: infonce does not use it"),
        ([*queries, *keys, "--normalize", "yes"], 2, "--normalize must be true or false, not 'yes'"),
        ([*queries, *keys, "--return", "loss,los"], 2, "--return must be a list of loss, per_row"),
        ([*queries, *keys, "--threads", 1025], 2, "--threads must be a whole number from 1 to 1024, not '1025'"),
        ([*queries, *keys, "--tau", 1], 2, "--tau"),
        ([*queries, "--keys", tmp_path / "none"], 1, "none"),
        ([*queries, "--keys", several], 1, "'keys'"),
        ([*queries, "--keys", broken], 1, "keys[1]"),
        ([*queries, *keys, "--output", tmp_path / "no" / "folder"], 1, "folder"),
    ]:
        done = run(*arguments)
        assert done.returncode == status, done
        assert cause in done.stderr.decode()
        assert done.stdout == b""
