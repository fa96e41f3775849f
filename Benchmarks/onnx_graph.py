"""The encoder as an ONNX graph, made of the operators that ONNX Runtime has fused kernels for.

They are those that its own BERT optimiser arrives at (EmbedLayerNormalization, Attention with one packed product for
query, key and value, SkipLayerNormalization, BiasGelu), so that the peer is at its best and neither an exporter nor a
network is needed. Attention and MatMul with a constant are also what `quantize_dynamic` turns into products of bytes.
"""

import numpy as np
import onnx
from bert_folder import BertFolder
from onnx import TensorProto, helper, numpy_helper

MS = "com.microsoft"


class Graph:
    """Collects nodes and constants, and gives each a unique name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op: str, inputs: list[str], domain: str = "", outputs: int = 1, **attributes) -> str:
        names = [f"n{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, domain=domain, **attributes))
        return names[0]


def onnx_model(folder: BertFolder, pooling: str = "mean") -> onnx.ModelProto:
    """input_ids, attention_mask [n, length] int32 -> embeddings [n, hidden] f32 of unit length.

    They are the means of the tokens' hidden states, or, with the `pooling` "cls", those of the first tokens.
    """
    graph = Graph()
    embedding = [
        "input_ids",
        "",
        graph.constant(folder.words),
        graph.constant(folder.positions),
        "",
        *map(graph.constant, folder.norm),
    ]
    hidden = graph.node("EmbedLayerNormalization", embedding, domain=MS, outputs=2, epsilon=folder.epsilon)
    lengths = graph.node("ReduceSum", ["attention_mask", graph.constant(np.array([1], np.int64))], keepdims=0)

    for layer in folder.layers:
        weight, bias = layer.qkv
        attended = graph.node(
            "Attention",
            [hidden, graph.constant(weight.T), graph.constant(bias), lengths],
            domain=MS,
            num_heads=folder.heads,
        )
        hidden = _residual(graph, folder, attended, hidden, layer.attention, layer.attention_norm)
        inner = graph.node("MatMul", [hidden, graph.constant(layer.inner[0].T)])
        inner = graph.node("BiasGelu", [inner, graph.constant(layer.inner[1])], domain=MS)
        hidden = _residual(graph, folder, inner, hidden, layer.outer, layer.outer_norm)

    if pooling == "cls":
        first = graph.node("Gather", [hidden, graph.constant(np.array([0], np.int64))], axis=1)
        pooled = graph.node("Squeeze", [first, graph.constant(np.array([1], np.int64))])
    else:
        mask = graph.node("Cast", ["attention_mask"], to=TensorProto.FLOAT)
        # [n, 1, length] × [n, length, hidden] is the sum over the text's own tokens. The normalisation below makes the
        # division by their number unnecessary.
        row = graph.node("Unsqueeze", [mask, graph.constant(np.array([1], np.int64))])
        pooled = graph.node("Squeeze", [graph.node("MatMul", [row, hidden]), graph.constant(np.array([1], np.int64))])
    graph.nodes.append(helper.make_node("LpNormalization", [pooled], ["embeddings"], axis=1, p=2))

    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["n", "length"])
    mask_info = helper.make_tensor_value_info("attention_mask", TensorProto.INT32, ["n", "length"])
    out = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", folder.hidden])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "encoder", [ids, mask_info], [out], graph.constants),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MS, 1)],
    )
    model.ir_version = 9
    return model


def _residual(graph: Graph, folder: BertFolder, x: str, skip: str, product: tuple, norm: tuple) -> str:
    """LayerNorm(x · weight + bias + skip)."""
    weight, bias = product
    output = graph.node("MatMul", [x, graph.constant(weight.T)])
    inputs = [output, skip, *map(graph.constant, norm), graph.constant(bias)]
    return graph.node("SkipLayerNormalization", inputs, domain=MS, epsilon=folder.epsilon)
