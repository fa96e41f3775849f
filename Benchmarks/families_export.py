"""Exports a family's folder for its peers: an ONNX graph in f32 and in int8, and a graph of OpenVINO in f32 and int8.

Texts of a batch are equally long, so nothing is masked but what lies outside a layer's window or after a token.

ONNX Runtime gets its fused operator for attention. The transformer optimizer that comes with it does not find attention
in what torch.onnx exports at present, so BERT's graph is put together by onnx_graph.py, as for embed.py, and in the
others attention is exported as that operator to begin with. Whatever else can be fused, ONNX Runtime fuses when it
loads the graph.
"""

from pathlib import Path

import families_folder
import numpy as np
import onnx
import openvino
import torch
from bert_folder import BertFolder
from families_models import Family
from onnx_graph import onnx_model
from onnx_peer import quantized
from openvino import opset14
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

FUSED = "nearfar-benchmark"
# Any number of texts of any length.
DYNAMIC = ({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC},)
# Longer than a window, so that no window is left out as needless.
EXAMPLE = (2, 200)


def fused_attention(module, query, key, value, attention_mask, scaling=None, **more):
    """Attention of [n, heads, length, values] as com.microsoft::MultiHeadAttention."""
    count, heads, length, values = query.shape
    if key.shape[1] < heads:
        key = key.repeat_interleave(heads // key.shape[1], dim=1)
        value = value.repeat_interleave(heads // value.shape[1], dim=1)
    inputs = [part.transpose(1, 2).reshape(count, length, heads * values) for part in (query, key, value)]
    if more.get("sliding_window") is not None:
        # What lies outside the window is the same in every text of a batch.
        bias = torch.where(attention_mask[:1], 0.0, -10_000.0)
        inputs += [None, None, bias]
    attended = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        inputs,
        {"num_heads": heads, "unidirectional": int(module.is_causal), "scale": float(scaling)},
        dtype=torch.float32,
        shape=(count, length, heads * values),
        version=1,
    )
    return attended.reshape(count, length, heads, values), None


AttentionInterface.register(FUSED, fused_attention)
AttentionMaskInterface.register(FUSED, sdpa_mask)


def to_onnx(family: Family, folder: Path, target: Path) -> None:
    if family.kind == "Bert":
        onnx.save(onnx_model(BertFolder(folder), family.pooling), target)
        return
    torch.onnx.export(
        families_folder.read(family, folder, FUSED),
        (torch.full(EXAMPLE, 5),),
        target,
        dynamo=True,
        opset_version=18,
        input_names=["input_ids"],
        output_names=["embeddings"],
        dynamic_shapes=DYNAMIC,
        # A file of protobuf holds at most 2 GiB.
        external_data=True,
        verbose=False,
    )


def to_openvino(family: Family, folder: Path) -> openvino.Model:
    module = families_folder.read(family, folder, "sdpa")
    model = openvino.convert_model(torch.export.export(module, (torch.full(EXAMPLE, 5),), dynamic_shapes=DYNAMIC))
    # Checks of shapes are exported as further outputs, which would be computed.
    return openvino.Model([model.output(0)], model.get_parameters())


def with_byte_weights(model: openvino.Model) -> openvino.Model:
    """Stores each weight that is multiplied as int8, with a scale for each output. Changes the model."""
    for product in [node for node in model.get_ordered_ops() if node.get_type_name() == "MatMul"]:
        source = product.input_value(1).get_node()
        if source.get_type_name() != "Constant" or len(source.shape) != 2:
            continue
        weight = np.array(source.data, np.float32)
        inner = 1 if product.get_attributes()["transpose_b"] else 0
        scale = np.maximum(np.abs(weight).max(axis=inner, keepdims=True), 1e-12) / 127
        stored = opset14.constant(np.rint(weight / scale).astype(np.int8))
        expanded = opset14.multiply(opset14.convert(stored, np.float32), opset14.constant(scale))
        product.input(1).replace_source_output(expanded.output(0))
    return model


def export(family: Family, folder: Path, peers: Path) -> None:
    """Writes f32.onnx, int8.onnx, f32.xml and int8.xml."""
    peers.mkdir(parents=True, exist_ok=True)
    to_onnx(family, folder, peers / "f32.onnx")
    (peers / "int8.onnx").write_bytes(quantized(onnx.load(peers / "f32.onnx")))
    model = to_openvino(family, folder)
    openvino.save_model(model, peers / "f32.xml", compress_to_fp16=False)
    openvino.save_model(with_byte_weights(model), peers / "int8.xml", compress_to_fp16=False)
