"""The sides of embed.py: the peers and precisions that this machine has, and the reasons why others are missing."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, zip_longest
from typing import Protocol

import glosses
import nearfar_side
import numpy as np
from bert_folder import BertFolder
from ctranslate2_peer import CTranslate2Peer
from encoder_peer import EncoderPeer, Unavailable
from kept_connection import drive
from nearfar_side import FORMATS, NearfarSide
from onnx_peer import OnnxPeer
from openvino_peer import OpenVinoPeer
from server_process import Refused

PRECISIONS = ("f32", "bf16", "int8")


class Side(Protocol):
    """One that takes its turns."""

    title: str
    precision: str

    def prepare(self, texts: list[str]) -> str:
        """What is done before any clock runs. Returns how the side will work."""

    def turn(self) -> object:
        """The work itself, on the prepared texts."""

    def vectors(self, answer: object) -> np.ndarray: ...


class PeerSide:
    def __init__(self, peer: EncoderPeer) -> None:
        self.peer = peer
        self.title = peer.title
        # Whatever has int8 weights is a peer of Nearfar in int8.
        self.precision = peer.precision.split()[0]
        self.texts: list[str] = []

    def prepare(self, texts: list[str]) -> str:
        self.texts = texts
        self.peer.tune(texts)
        return self.peer.way.describe(self.peer.size)

    def turn(self) -> np.ndarray:
        return self.peer.embed(self.texts)

    def vectors(self, answer: np.ndarray) -> np.ndarray:
        return answer


class ServedSide:
    """Nearfar over HTTP, with one format of answers."""

    def __init__(self, server: NearfarSide, form: str, connections: int, per_request: int) -> None:
        self.server = server
        self.form = form
        self.title = f"Nearfar {server.precision}, {form}"
        self.precision = server.precision
        self.connections = connections
        self.per_request = per_request
        self.requests: list[bytes] = []

    def prepare(self, texts: list[str]) -> str:
        self.requests = nearfar_side.requests(texts, self.per_request, self.form)
        return f"{self.per_request} texts a request, {self.connections} connections"

    def turn(self) -> list[bytes]:
        return drive(self.server.connections(self.connections), self.requests)[0]

    def vectors(self, answer: list[bytes]) -> np.ndarray:
        return nearfar_side.vectors(answer, self.form)


def peers(folder: BertFolder, options: argparse.Namespace) -> tuple[list[EncoderPeer], dict[str, str]]:
    """Those of the measured precisions, and why others are missing. ONNX Runtime in f32 is always the first."""
    # Ranges of activations are found with a sample of its own, not with the texts that are measured.
    calibration = glosses.sample(200, seed=7) + glosses.paragraphs(40, seed=7)
    kinds = {
        "f32": [(OnnxPeer, "f32"), (OpenVinoPeer, "f32"), (CTranslate2Peer, "f32")],
        "bf16": [(OpenVinoPeer, "bf16"), (CTranslate2Peer, "bf16")],
        "int8": [(OnnxPeer, "int8"), (OpenVinoPeer, "int8 weights"), (OpenVinoPeer, "int8"), (CTranslate2Peer, "int8")],
    }
    found: list[EncoderPeer] = []
    missing: dict[str, str] = {}
    wanted = [kind for precision in options.precisions for kind in kinds[precision]]
    if kinds["f32"][0] not in wanted:
        wanted.insert(0, kinds["f32"][0])
    for cls, precision in wanted:
        more = [calibration] if (cls, precision) == (OpenVinoPeer, "int8") else []
        try:
            peer = cls(precision, folder, options.threads, *more)
            # Loads the model, so that a peer that cannot is known before the first turn.
            peer.engine()
        except (Unavailable, RuntimeError, ValueError) as error:
            missing[f"{cls.name} {precision}"] = str(error).splitlines()[0]
        else:
            found.append(peer)
    return found, missing


@contextmanager
def servers(options: argparse.Namespace) -> Iterator[tuple[list[NearfarSide], dict[str, str]]]:
    """A server for each precision, and what those that did not start said, by precision. All are stopped at the end."""
    running: list[NearfarSide] = []
    refused: dict[str, str] = {}
    try:
        for precision in options.precisions:
            try:
                running.append(NearfarSide(options.binary, options.model, precision, options.threads))
            except Refused as error:
                refused[precision] = str(error)
                print(f"Nearfar {precision} is refused: {error}", flush=True)
        yield running, refused
    finally:
        for server in running:
            server.stop()


def in_turns(found: list[EncoderPeer], running: list[NearfarSide], options: argparse.Namespace) -> list[Side]:
    """All sides in the order of their turns: within a precision, a peer and Nearfar alternate."""
    theirs = [PeerSide(peer) for peer in found]
    ours = [
        ServedSide(server, form, options.connections, options.per_request) for server in running for form in FORMATS
    ]
    order: list[Side] = []
    for precision in PRECISIONS:
        pairs = zip_longest(*([side for side in sides if side.precision == precision] for sides in (theirs, ours)))
        order += [side for side in chain.from_iterable(pairs) if side is not None]
    return order
