"""nearfar train --resume: a run that was interrupted at any moment ends with the bytes of one that was not."""

import random
import signal
import subprocess
import time

import pytest
from process import clean_environment, wait_until
from training import MODEL, command, contents, metrics, names, train, write_data

FLAGS = [
    "--model", MODEL, "--pairs", "pairs.jsonl", "--batch", 16, "--lr", "2e-3", "--epochs", 3, "--eval", "held.jsonl", "--eval-every", 4,
    "--checkpoint-every", 3,
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("resume"))


@pytest.fixture(scope="module")
def whole(data):
    """The bytes of a run that was not interrupted, and the seconds that it took."""
    began = time.monotonic()
    done = train(*FLAGS, "--output", "whole", folder=data)
    assert done.returncode == 0, done.stderr
    return contents(data / "whole"), time.monotonic() - began


def start(data, *flags) -> subprocess.Popen:
    return subprocess.Popen(
        command(*FLAGS, *flags), cwd=data, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=clean_environment({}))


def test_kill_at_random_moments(data, whole):
    expected, seconds = whole
    generator = random.Random(7)
    kills = 0
    for run in range(12):
        name = f"killed-{run}"
        flags = ["--output", name]
        for _ in range(40):
            process = start(data, *flags)
            flags = ["--output", name, "--resume"]
            try:
                process.wait(generator.uniform(0, 0.8 * seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
            said = process.communicate()[1]
            assert process.returncode in (0, -signal.SIGKILL), said
            if process.returncode == 0:
                break
        else:
            done = train(*FLAGS, *flags, folder=data)
            assert done.returncode == 0, done.stderr
        assert contents(data / name) == expected
        assert names(data / name) == names(data / "whole")
        if kills >= 20:
            break
    assert kills >= 20


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_writes_a_checkpoint(data, whole, number, status):
    name = f"signal-{status}"
    process = start(data, "--output", name)
    assert wait_until(lambda: (data / name / "metrics.jsonl").exists() and len(metrics_lines(data / name)) > 3, seconds=60, pause=0.002)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == status, said
    assert "a second signal ends at once" in said and "the same command with --resume goes on from there" in said
    step = int(said.partition("stopped behind step ")[2].split(":")[0])
    assert f"step-{step}" in names(data / name / "checkpoints")
    assert metrics(data / name)[0][-1]["step"] == step
    done = train(*FLAGS, "--output", name, folder=data)
    assert done.returncode == 1 and "has a training that was interrupted: --resume goes on with it" in done.stderr
    done = train(*FLAGS, "--output", name, "--resume", folder=data)
    assert done.returncode == 0 and f"going on behind step {step}" in done.stderr, done.stderr
    assert contents(data / name) == whole[0]


def metrics_lines(folder) -> list[str]:
    return (folder / "metrics.jsonl").read_text().splitlines()


@pytest.fixture(scope="module")
def interrupted(data):
    process = start(data, "--output", "interrupted")
    assert wait_until(lambda: (data / "interrupted" / "checkpoints" / "step-3").exists(), seconds=60, pause=0.002)
    process.kill()
    process.communicate()
    return data / "interrupted"


@pytest.mark.parametrize(
    "more, words",
    [
        (["--lr", "1e-3"], "--lr is '0.001', and in the run that was interrupted it was '0.002'"),
        (["--batch", 8], "--batch is '8', and in the run that was interrupted it was '16'"),
        (["--objective", "dcl"], "--objective is 'dcl'"),
        (["--seed", 1], "--seed is '1'"),
        (["--dropout", 0], "--dropout is '0.0', and the run that was interrupted did not have it"),
        (["--lora", 2], "--lora is '2'"),
        (["--eval-every", 5], "--eval-every is '5'"),
        (["--pairs", "held.jsonl"], "the content of the examples is"),
    ],
)
def test_other_options_are_refused_by_name(data, interrupted, more, words):
    done = train(*FLAGS, *more, "--output", "interrupted", "--resume", folder=data)
    assert done.returncode == 1 and words in done.stderr, done.stderr


def test_a_damaged_checkpoint_is_left_for_the_one_before(data, whole):
    process = start(data, "--output", "damaged")
    checkpoints = data / "damaged" / "checkpoints"
    assert wait_until(lambda: (checkpoints / "step-9").exists(), seconds=60, pause=0.002)
    process.kill()
    process.communicate()
    newest = max(checkpoints.glob("step-*"), key=lambda path: int(path.name[5:]))
    path = newest / "arrays.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = train(*FLAGS, "--output", "damaged", "--resume", "--threads", 1, folder=data)
    assert done.returncode == 0 and "is damaged" in done.stderr, done.stderr
    assert contents(data / "damaged") == whole[0]


def test_resume_without_a_run_begins(data, whole):
    done = train(*FLAGS, "--output", "fresh", "--resume", folder=data)
    assert done.returncode == 0, done.stderr
    assert contents(data / "fresh") == whole[0]


@pytest.mark.parametrize("flags", [["--objective", "byol"], ["--objective", "moco", "--queue", 64], ["--lora", 4, "--temperature", "learned"], ["--objective", "simsiam"]])
def test_what_stands_beside_the_model_is_kept(data, flags):
    """A copy that follows, a queue, a predictor, adapters and a temperature go on, too."""
    name = "-".join(map(str, flags)).replace("--", "")
    done = train(*FLAGS, *flags, "--output", name, folder=data)
    assert done.returncode == 0, done.stderr
    process = start(data, *flags, "--output", f"{name}-killed")
    assert wait_until(lambda: (data / f"{name}-killed" / "checkpoints" / "step-6").exists(), seconds=60, pause=0.002)
    process.kill()
    process.communicate()
    done = train(*FLAGS, *flags, "--output", f"{name}-killed", "--resume", folder=data)
    assert done.returncode == 0 and "going on behind step" in done.stderr, done.stderr
    assert contents(data / f"{name}-killed") == contents(data / name)
