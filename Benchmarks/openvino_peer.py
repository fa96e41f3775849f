"""OpenVINO as a peer of embed.py: in f32, in bf16, with int8 weights, and with int8 on both sides of each product."""

import queue

import numpy as np
import openvino
import processor
from bert_folder import BertFolder
from encoder_peer import EncoderPeer, Engine, Unavailable, Way
from openvino_graph import Bytes, ByteWeights, Encoder, Products, ranges


class OpenVinoPeer(EncoderPeer):
    """`precision` is f32, bf16, int8 or "int8 weights". int8 needs texts, from which the ranges of activations are."""

    name = "OpenVINO"

    def __init__(self, precision: str, folder: BertFolder, threads: int, calibration: list[str] | None = None) -> None:
        if precision == "bf16" and not processor.HAS_BF16:
            raise Unavailable("not on this processor")
        super().__init__(precision, folder, threads)
        self.core = openvino.Core()
        self.ranges = ranges(folder, self.core, calibration) if calibration else None
        # What is not in bytes is computed as is fastest, which is OpenVINO's own choice as well.
        reduced = precision != "f32" and processor.HAS_BF16
        self.hint = "bf16" if reduced else "f32"

    def products(self) -> Products:
        if self.precision == "int8 weights":
            return ByteWeights()
        return Products() if self.ranges is None else Bytes(self.ranges)

    def open(self, way: Way) -> Engine:
        settings = {
            "INFERENCE_PRECISION_HINT": self.hint,
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": way.calls,
            # Other peers in this process, and Nearfar beside it, need the cores when it is their turn.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = self.core.compile_model(Encoder(self.folder, self.products()).model(), "CPU", settings)
        idle: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
        for _ in range(way.calls):
            idle.put(compiled.create_infer_request())

        def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
            request = idle.get()
            try:
                # The answer is in the request's own memory, which the next call writes to.
                return request.infer([ids, mask], share_inputs=True, share_outputs=True)[0].copy()
            finally:
                idle.put(request)

        return run
