"""Runs the training examples in small, and checks their parts: the losses that they get, the views of their inputs, their searches."""

import gzip
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from torch.nn import functional

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

import byol  # noqa: E402
import fashion  # noqa: E402
import moco  # noqa: E402
import parts  # noqa: E402
import simclr  # noqa: E402
import simsiam  # noqa: E402
import speech  # noqa: E402
import video  # noqa: E402


def run(name, service, *arguments):
    """Returns what an example printed, and what its progress bars showed."""
    command = [sys.executable, EXAMPLES / f"{name}.py", "--url", service.url, "--quick", *arguments]
    # The batches of a small run are too small for two threads.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def shares(line, columns):
    found = [float(word) for word in line.split()[-columns:]]
    assert all(0 <= share <= 1 for share in found)
    return found


@pytest.mark.parametrize("name", ["simclr", "moco", "byol", "simsiam"])
def test_method_on_images(service, tmp_path, name):
    lines, bars = run(name, service, "--plot", tmp_path / "plot.png")
    assert lines[0].startswith("8 steps in ") and "8/8" in bars
    assert lines[1] == "20 neighbours of 128 test images among 512"
    # Ten kinds of clothes: one in ten would be right by chance, and even pixels and random weights find more than half.
    assert [shares(line, 1)[0] > 0.5 for line in lines[3:6]] == [True] * 3
    assert [line.split()[0] for line in lines[3:6]] == ["raw", "untrained", "trained"]
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert (tmp_path / "plot.png").stat().st_size < 100_000


def test_a_run_is_the_same_again(service):
    """The queue and the collections of the run before are made anew."""
    first, second = (run("moco", service, "--steps", "4")[0] for _ in range(2))
    assert first[0].split("; ")[1] == second[0].split("; ")[1]
    assert first[1:] == second[1:]


def test_spoken_words(service, tmp_path):
    lines, bars = run("speech", service, "--plot", tmp_path / "plot.png")
    assert lines[0].startswith("loss ") and "8/8" in bars and "48/48" in bars
    assert lines[1] == "the nearest of 48 recordings is the same word; 48 queries in 4 unseen voices"
    assert lines[2].endswith("  10 trained words  2 other words")
    assert all(share > 1 / 12 for line in lines[3:6] for share in shares(line, 2))
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_moving_pictures(service, tmp_path):
    lines, bars = run("video", service, "--plot", tmp_path / "plot.png")
    assert lines[0].startswith("loss ") and "6/6" in bars
    assert lines[1] == "the item of 64 held-out clips found again in another clip"
    assert all(one <= ten for one, ten in (shares(line, 2) for line in lines[3:6]))
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def nt_xent(queries, keys):
    rows = functional.normalize(torch.cat((queries, keys)), dim=1)
    logits = (rows @ rows.T / simclr.TEMPERATURE).fill_diagonal_(-torch.inf)
    return functional.cross_entropy(logits, torch.arange(len(rows)).roll(len(queries)))


def queued(negatives):
    def score(queries, keys):
        queries = functional.normalize(queries, dim=1)
        positive = (queries * keys).sum(1, keepdim=True)
        logits = torch.cat((positive, queries @ negatives.T), 1) / moco.TEMPERATURE
        return functional.cross_entropy(logits, torch.zeros(len(queries), dtype=torch.long))

    return score


def mean_cosine(predictions, targets):
    return functional.cosine_similarity(predictions, targets.detach()).mean()


@pytest.mark.parametrize("name", ["simclr", "moco", "byol", "simsiam"])
def test_loss_and_gradients_are_those_of_the_paper(client, name):
    example = {"simclr": simclr, "moco": moco, "byol": byol, "simsiam": simsiam}[name]
    views = torch.rand(2, 32, 1, 28, 28, generator=torch.Generator().manual_seed(3))
    outcomes = []
    for here in (False, True):
        torch.manual_seed(7)
        method = example.make(client)
        if here:
            torch.manual_seed(7)
            method = type(method)(None)
            method.score = {
                "simclr": lambda: nt_xent,
                "moco": lambda: queued(moco.first_negatives()),
                "byol": lambda: lambda predictions, targets: 2 - 2 * mean_cosine(predictions, targets),
                "simsiam": lambda: lambda predictions, targets: -mean_cosine(predictions, targets),
            }[name]()
        loss = method(*views)
        loss.backward()
        outcomes.append((loss.item(), [p.grad for p in method.parameters() if p.requires_grad]))
    (served, gradients), (expected, expected_gradients) = outcomes
    assert served == pytest.approx(expected, abs=1e-5)
    for gradient, other in zip(gradients, expected_gradients):
        assert torch.allclose(gradient, other, rtol=1e-3, atol=1e-5 * max(1, other.abs().max().item()))


def test_reading_images(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion, "FOLDER", tmp_path)
    with pytest.raises(SystemExit, match="dataset-fashion-mnist"):
        fashion.read("train", 2)
    pixels = bytes([0, 51, 255] + [7] * 781) + bytes([102] * 784) + bytes(784)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + pixels))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + bytes([9, 0, 4])))
    images, labels = fashion.read("train", 2)
    assert images.shape == (2, 1, 28, 28) and labels == [9, 0]
    assert images[0, 0, 0, :3].tolist() == pytest.approx([0, 0.2, 1])
    assert images[1].unique().tolist() == pytest.approx([0.4])


def test_views_of_images(monkeypatch):
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(5))
    # Crop, mirror, light and shifts, for which this means: not cropped, as bright as before, not shifted.
    drawn = torch.tensor([[0.8], [0.0], [0.5], [0.5], [0.5]]).repeat(1, 3)
    drawn[1, 2] = 0.9
    drawn[2, 1] = 0.0
    drawn[3, 0] = 0.5 + 4 / 28 / 0.6
    monkeypatch.setattr(torch, "rand", lambda *_, generator: drawn)
    monkeypatch.setattr(torch, "randn", lambda shape, generator: torch.zeros(shape))
    seen = fashion.view(images, None)
    assert torch.allclose(seen[0, 0, :, :-2], images[0, 0, :, 2:], atol=1e-4) and seen[0, 0, :, -2:].abs().max() < 1e-4
    assert torch.allclose(seen[1], images[1] * 0.6, atol=1e-4)
    assert torch.allclose(seen[2], images[2].flip(-1), atol=1e-4)


def test_batches_repeat_with_the_seed():
    images = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(5))
    first, again, other = (next(fashion.views(images, 6, torch.Generator().manual_seed(seed))) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0]) and not torch.equal(first[0], first[1])


def test_followers():
    target, source = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    with torch.no_grad():
        for network, value in ((target, 1.0), (source, 3.0)):
            for parameter in network.parameters():
                parameter.fill_(value)
    parts.follow(target, source, 0.75)
    assert [parameter.item() for parameter in target.parameters()] == [1.5, 1.5]
    assert [parameter.item() for parameter in source.parameters()] == [3.0, 3.0]


def test_search_and_vote(client):
    angles = torch.tensor([0.0, 0.1, 0.2, 1.5, 1.6])
    rows = torch.stack((angles.cos(), angles.sin()), 1).numpy()
    for labels in ([3, 4, 4, 5, 5], [1, 1, 2, 2, 2]):
        parts.store(client, "example-test", rows, labels)
        results = parts.search(client, "example-test", rows[[0, 4]], 3)
        assert [[int(point.id) for point in found] for found in results] == [[0, 1, 2], [4, 3, 2]]
    # The second labels have replaced the first.
    assert [parts.vote(found) for found in results] == [1, 2]
    assert parts.accuracy(results, [1, 7]) == 0.5
    assert client.collection("example-test").count == 5
    tied = [types.SimpleNamespace(metadata={"label": label}) for label in (6, 2, 2, 6)]
    assert parts.vote(tied) == 6
    client.delete_collection("example-test")


def test_bands_of_a_tone():
    filters = speech.mel_filters()
    assert filters.shape == (speech.BANDS, speech.WINDOW // 2 + 1) and 0 <= filters.min() and filters.max() <= 1
    # By definition, the middle of band b is at (b + 1) / (BANDS + 1) of the mel scale.
    highest = 2595 * torch.log10(torch.tensor(1 + speech.RATE / 2 / 700)).item()
    for band in (12, 20, 33):
        frequency = 700 * (10 ** ((band + 1) / (speech.BANDS + 1) * highest / 2595) - 1)
        tone = torch.sin(2 * torch.pi * frequency * torch.arange(speech.RATE // 2) / speech.RATE)
        sound = speech.spectrogram(tone)
        assert sound.shape == (1, speech.BANDS, speech.FRAMES)
        assert sound.mean().item() == pytest.approx(0, abs=1e-4) and sound.std().item() == pytest.approx(1, abs=1e-4)
        # Half a second has 44 frames; then there is silence.
        assert sound[0, :, 20].argmax() == band and sound[0, :, 60].max() == sound.min()


def test_time_and_bands_change():
    sounds = torch.arange(speech.FRAMES).float().expand(5, 1, speech.BANDS, speech.FRAMES)
    heard = speech.heard_anew(sounds, torch.Generator().manual_seed(2))
    assert heard.shape == sounds.shape
    for sound in heard[:, 0]:
        missing = sound.abs().max(1).values < 2
        assert 3 <= missing.sum() <= 5
        shift = (torch.arange(speech.FRAMES) - sound[~missing].mean(0))[15:].mean().item()
        assert round(shift) in range(12) and shift == pytest.approx(round(shift), abs=0.2)


def test_walls():
    path = torch.tensor([0.0, 0.5, 1.0, 1.5, 3.0, 3.5, -1.0, -1.5])
    assert video.bounce(path).tolist() == [0.0, 0.5, 1.0, 0.5, -1.0, -0.5, -1.0, -0.5]


def test_cuts_of_a_clip():
    """A white item that does not turn or grow is as large as it was, and moves by its speed."""
    clips = video.Clips(torch.ones(2, 1, 28, 28), torch.Generator().manual_seed(4))
    clips.start = torch.tensor([[0.5, -0.5], [0.0, 0.0]])
    clips.speed = torch.tensor([[0.0, 0.0], [0.02, 0.0]])
    clips.angle, clips.turn = torch.zeros(2), torch.zeros(2)
    clips.size, clips.growth = torch.zeros(2), torch.zeros(2)
    cut = clips.cut()
    assert cut.shape == (2, video.FRAMES, video.ROOM, video.ROOM)
    bright = (cut > 0.3 * cut.amax((2, 3), keepdim=True)).float()
    across = torch.arange(video.ROOM) + 0.5
    middle = torch.stack(((bright.sum(2) * across).sum(2), (bright.sum(3) * across).sum(2)), -1) / bright.sum((2, 3))[..., None]
    # From the middle of the room to a wall there is room for (ROOM - 28) / 2 steps.
    room = (video.ROOM - 28) / 2
    assert torch.allclose(middle[0], torch.tensor([0.5, -0.5]) * room + video.ROOM / 2, atol=0.5)
    steps = middle[1].diff(dim=0)
    assert torch.allclose(steps.mean(0), torch.tensor([0.02 * room, 0]), atol=0.2)
