#!/usr/bin/env python3
"""Spoken words with a running Nearfar: the same word is near, whoever says it, also for voices and words that were not trained on.

    nearfar serve &                                  # in the project's folder: make run
    apt-get install espeak-ng
    pip install './clients/python[example]'          # PyTorch, matplotlib, tqdm
    python clients/python/examples/speech.py --plot speech.png

The speech synthesiser espeak-ng says each word in many voices, with varying pitch and speed. A small network makes a vector of the
spectrogram. The loss of a batch is the service's `supcon` with the words as classes: all recordings of a word are near, and all
others far. Some voices and some words are held out. At the end the recordings of the first voices, of all words, are a collection,
and the held-out voices are its queries: is the nearest recording the same word?

Khosla et al., Supervised Contrastive Learning, arXiv 2004.11362.
"""

import io
import random
import shutil
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor

import parts
import torch
from nearfar import Client
from nearfar.torch import contrastive_loss
from torch import nn
from torch.nn import functional
from tqdm import tqdm

WORDS = """apple autumn balance bedroom bicycle blanket bottle breakfast bridge brother butter button camera candle carpet castle chicken
    children circle coffee corner cotton country cousin danger daughter dinner doctor dragon elephant engine evening family feather
    finger flower forest garden gentle glass hammer harbour history holiday honey hospital husband island jacket journey kitchen ladder
    language lemon letter library market medicine minute mirror monday money monkey morning mountain music needle number ocean office
    orange paper pencil people pepper picture pocket potato question rabbit river school second shoulder silver sister soldier spider
    station summer sunday table teacher thunder ticket tiger tomato valley village water window winter yellow""".split()
# Accents of espeak-ng, each with a variant for the speaker. Neither accent nor speaker of a held-out voice occurs in training.
VOICES = [
    f"{accent}+{variant}"
    for accent in ("en-us", "en-gb", "en-gb-x-rp", "en-gb-x-gbcwmd")
    for variant in ("m1", "m3", "m7", "f1", "f2", "f4")
]
HELD_OUT = ["en-gb-scotland+f3", "en-029+m2", "en-us-nyc+f5", "en-gb-x-gbclan+m4"]
RATE, WINDOW, HOP, BANDS, FRAMES = 22050, 512, 256, 40, 80
FULL = {"words": 80, "voices": 24, "batch": 192, "steps": 500, "rate": 2e-3}
QUICK = {"words": 10, "voices": 4, "batch": 32, "steps": 8, "rate": 2e-3}


def say(word, voice, chance):
    """Returns the samples of the word, from -1 to 1, spoken with random pitch and speed."""
    pitch, speed = chance.randint(25, 75), chance.randint(130, 210)
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "--stdout", word]
    spoken = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(spoken)) as file:
        # On a pipe the header does not know the length, and the rest of the file is the sound: 16 bits per sample.
        samples = bytearray(file.readframes(10 * RATE))
    return torch.frombuffer(samples, dtype=torch.int16) / 32768


def mel_filters():
    """Returns the weights [BANDS, WINDOW / 2 + 1] of triangular bands that are equally wide on the mel scale, up to half the rate."""
    highest = 2595 * torch.log10(torch.tensor(1 + RATE / 2 / 700))
    edges = 700 * (10 ** (torch.linspace(0, 1, BANDS + 2) * highest / 2595) - 1)
    frequency = torch.linspace(0, RATE / 2, WINDOW // 2 + 1)
    low, middle, high = (edges[start : start + BANDS, None] for start in range(3))
    return torch.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)).clamp(min=0)


def spectrogram(samples):
    """Returns the log-mel spectrogram [1, BANDS, FRAMES], which has mean 0 and deviation 1: cut, or padded with silence."""
    power = torch.stft(samples, WINDOW, HOP, window=torch.hann_window(WINDOW), return_complex=True).abs() ** 2
    bands = (mel_filters() @ power + 1e-4).log()
    bands = functional.pad(bands, (0, FRAMES), value=bands.min().item())[:, :FRAMES]
    return ((bands - bands.mean()) / bands.std())[None]


def record(words, voices, seed):
    """Returns the spectrograms [words · voices, 1, BANDS, FRAMES] and the index of the word for each."""
    jobs = [(word, voice, random.Random(f"{seed} {word} {voice}")) for word in words for voice in voices]
    with ThreadPoolExecutor(2) as workers:
        heard = list(tqdm(workers.map(lambda job: spectrogram(say(*job)), jobs), total=len(jobs), desc="say", unit="word"))
    return torch.stack(heard), [number for number in range(len(words)) for _ in voices]


def heard_anew(sounds, chance):
    """Returns the spectrograms shifted in time, each by as much as another, with noise and with a missing band of frequencies."""
    n = len(sounds)
    start, band = torch.randint(0, 12, (n, 1), generator=chance), torch.randint(0, BANDS, (n, 1), generator=chance)
    frames = (torch.arange(FRAMES) - start).clamp(min=0)
    moved = sounds.gather(3, frames.view(n, 1, 1, FRAMES).expand_as(sounds))
    missing = (torch.arange(BANDS) - band).abs() < 3
    return moved.masked_fill(missing.view(n, 1, BANDS, 1), 0) + 0.2 * torch.randn(sounds.shape, generator=chance)


def batches(sounds, words, size, chance):
    while True:
        chosen = torch.randperm(len(sounds), generator=chance)[:size]
        yield heard_anew(sounds[chosen], chance), words[chosen]


class Speech(nn.Module):
    """score(vectors, words): the loss of the vectors [n, d] of recordings of these words [n]."""

    def __init__(self, score):
        super().__init__()
        # [n, 64, BANDS / 8, FRAMES / 8], in which pairs of times are averaged: beginning, middle and end of a word remain apart.
        self.encoder = nn.Sequential(parts.convolutions(1, 16, 32, 64), nn.AvgPool2d((1, 2)), nn.Flatten())
        self.projector = parts.mlp(64 * (BANDS // 8) * (FRAMES // 16), 256, 64)
        self.score = score

    def forward(self, sounds, words):
        return self.score(self.projector(self.encoder(sounds)), words)


def main():
    settings = parts.options(__doc__, FULL, QUICK)
    if not shutil.which("espeak-ng"):
        sys.exit("espeak-ng is not there: install Debian's package of this name")
    most = len(WORDS) * 4 // 5
    if not (4 <= settings.words <= most and 1 <= settings.voices <= len(VOICES)):
        sys.exit(f"there are from 4 to {most} words to train on, with a quarter as many others, and from 1 to {len(VOICES)} voices")
    torch.manual_seed(settings.seed)
    words = random.Random(settings.seed).sample(WORDS, len(WORDS))
    known = settings.words
    words = words[: known + known // 4]
    sounds, labels = record(words, VOICES[:: len(VOICES) // settings.voices][: settings.voices], settings.seed)
    asked, answers = record(words, HELD_OUT, settings.seed)
    training = torch.tensor(labels) < known
    unseen = torch.tensor(answers) >= known
    with Client(settings.url) as client:
        method = Speech(
            lambda vectors, words: contrastive_loss(client, vectors, labels=words.tolist(), objective="supcon", temperature=0.1)
        )

        def measure(name, network):
            """The share of queries whose nearest recording is the same word, for the words of the training and for the others."""
            collection = f"example-speech-{name.split()[0]}"
            parts.store(client, collection, parts.vectors(network, sounds), labels)
            results = parts.search(client, collection, parts.vectors(network, asked), 1)
            right = torch.tensor([found[0].metadata["label"] == word for found, word in zip(results, answers)]).float()
            return name, right[~unseen].mean().item(), right[unseen].mean().item()

        rows = [measure("raw spectrograms", nn.Flatten()), measure("untrained network", method.encoder)]
        chance = torch.Generator().manual_seed(settings.seed)
        data = batches(sounds[training], torch.tensor(labels)[training], settings.batch, chance)
        losses = parts.train(method, data, settings.steps, settings.rate)
        rows.append(measure("trained network", method.encoder))
    print(f"loss {losses[0]:.4f} at first, {losses[-1]:.4f} at last")
    columns = [f"{known} trained words", f"{len(words) - known} other words"]
    title = f"the nearest of {len(sounds):,} recordings is the same word; {len(asked)} queries in {len(HELD_OUT)} unseen voices"
    parts.table(title, columns, rows)
    if settings.plot:
        bars = list(zip(("raw", "untrained", "trained"), (share for _, _, share in rows)))
        parts.plot(settings.plot, "Spoken words", losses, bars, caption="unseen words in unseen voices")


if __name__ == "__main__":
    main()
