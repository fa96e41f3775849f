"""ONNX Runtime and OpenVINO as sides of families.py. They run in this process and are given the ids of the tokens."""

import time
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import processor

# Texts of a batch, as far as the tokens of a batch allow.
SIZES = (1, 4, 16, 64)
BATCH_TOKENS = 8_192
# A batch that takes less is timed twice: the first of its shape may have to compile kernels.
SHORT = 1.0


class PeerSide:
    """Subclasses load a graph and multiply. `seconds` is the length of a turn."""

    name: str

    def __init__(self, precision: str, seconds: float) -> None:
        self.title = f"{self.name} {precision}"
        self.seconds = seconds
        self.size = 1
        self.rows = np.empty((0, 0), np.int64)

    def run(self, ids: np.ndarray) -> np.ndarray:
        """Ids [n, length] to vectors of unit length [n, hidden]."""
        raise NotImplementedError

    def close(self) -> None:
        """Gives the memory back."""

    def prepare(self, texts: list[str], ids: list[list[int]]) -> str:
        """Takes the texts of the next turns, and finds the size of batches that is fastest for them."""
        self.rows = np.array(ids, np.int64)
        best, longest = 0.0, 0.0
        for before, size in zip((1, *SIZES), SIZES):
            # A batch should fit into a turn.
            too_many = size > len(ids) or size * len(ids[0]) > BATCH_TOKENS
            if size > 1 and (too_many or longest * size / before > self.seconds):
                break
            longest = self._timed(size)
            if longest < SHORT:
                longest = min(longest, self._timed(size))
            if size / longest > best:
                best, self.size = size / longest, size
        return f"{self.size} texts a batch"

    def _timed(self, size: int) -> float:
        start = time.perf_counter()
        self.run(self.rows[:size])
        return time.perf_counter() - start

    def vectors(self, count: int) -> np.ndarray:
        """Of the first texts."""
        starts = range(0, count, self.size)
        return np.concatenate([self.run(self.rows[at : min(at + self.size, count)]) for at in starts])

    def turn(self) -> float:
        """Computes batches until the turn is over; texts a second."""
        done = at = 0
        start = time.perf_counter()
        while True:
            self.run(self.rows[at : at + self.size])
            done += self.size
            at = at + self.size if at + 2 * self.size <= len(self.rows) else 0
            elapsed = time.perf_counter() - start
            if elapsed >= self.seconds:
                return done / elapsed


class OnnxSide(PeerSide):
    """ONNX Runtime in f32 or with its dynamic int8."""

    name = "ONNX Runtime"

    def __init__(self, precision: str, folder: Path, threads: int, seconds: float) -> None:
        super().__init__(precision, seconds)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # It warns of constants that it does not fold.
        options.log_severity_level = 3
        path = str(folder / f"{precision}.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        kinds = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
        self.inputs = {one.name: kinds[one.type] for one in self.session.get_inputs()}

    def run(self, ids: np.ndarray) -> np.ndarray:
        # A graph that takes a mask gets one of ones: the texts of a batch are equally long.
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        return self.session.run(None, {name: given[name].astype(kind) for name, kind in self.inputs.items()})[0]

    def close(self) -> None:
        del self.session


class OpenVinoSide(PeerSide):
    """OpenVINO in f32, in bf16, or with int8 weights and what is fastest beside them."""

    name = "OpenVINO"

    def __init__(self, precision: str, folder: Path, threads: int, seconds: float) -> None:
        super().__init__(precision, seconds)
        reduced = precision != "f32" and processor.HAS_BF16
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if reduced else "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # ONNX Runtime in this process, and Nearfar beside it, need the cores when it is their turn.
            "ENABLE_CPU_PINNING": False,
        }
        graph = folder / ("int8.xml" if precision == "int8" else "f32.xml")
        self.model = openvino.Core().compile_model(graph, "CPU", settings)
        self.request = self.model.create_infer_request()

    def run(self, ids: np.ndarray) -> np.ndarray:
        # The answer is in the request's own memory, which the next call writes to.
        return self.request.infer([ids], share_inputs=True, share_outputs=True)[0].copy()

    def close(self) -> None:
        del self.request, self.model
