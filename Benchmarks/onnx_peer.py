"""ONNX Runtime as a peer of embed.py, in f32 and with its dynamic int8."""

import logging
import tempfile
from pathlib import Path

import onnx
import onnxruntime
import processor
from encoder_peer import EncoderPeer, Engine, Way
from onnx_graph import onnx_model
from onnxruntime.quantization import QuantType, quantize_dynamic


class OnnxPeer(EncoderPeer):
    """In f32, which is also what the vectors of all others are compared with, or in int8."""

    name = "ONNX Runtime"

    def model(self) -> bytes:
        plain = onnx_model(self.folder)
        return quantized(plain) if self.precision == "int8" else plain.SerializeToString()

    def open(self, way: Way) -> Engine:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads // way.calls
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = onnxruntime.InferenceSession(self.model(), options, providers=["CPUExecutionProvider"])
        return lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


def quantized(model: onnx.ModelProto) -> bytes:
    """Products of bytes: weights with a scale for each output, activations with one that is found while it runs.

    With one scale for a whole matrix the lowest cosine is 0.92, with one for each output it is 0.98. The weights of the
    embedding stay in f32: they are looked up, not multiplied.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        # It advises to infer shapes first, which would not change this graph.
        logging.disable(logging.WARNING)
        try:
            quantize_dynamic(
                model,
                path,
                op_types_to_quantize=["MatMul", "Attention"],
                per_channel=True,
                # Seven bits keep sums of two products within 16 bits where the processor adds them so.
                reduce_range=not processor.HAS_BYTE_PRODUCTS,
                weight_type=QuantType.QInt8,
                # Its shape inference does not know the fused operators, so it has to be told what their outputs are.
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
            )
        finally:
            logging.disable(logging.NOTSET)
        return path.read_bytes()
