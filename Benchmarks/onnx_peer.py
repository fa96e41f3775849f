"""ONNX Runtime running the same model in f32: the peer that Nearfar's /embed is measured against.

The graph is built from the model folder with the operators that ONNX Runtime's own BERT optimiser arrives at
(EmbedLayerNormalization, Attention with one packed QKV product, SkipLayerNormalization, BiasGelu), so that the peer is
at its best and no exporter, and no network, is needed.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

MS = "com.microsoft"


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The F32 tensors of a safetensors file by name."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        start, stop = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[start:stop], dtype="<f4").reshape(entry["shape"])
    return tensors


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


def build_model(folder: Path) -> bytes:
    """input_ids, attention_mask [n, length] int32 -> embeddings [n, hidden] f32: mean pooled and of unit length."""
    config = json.loads((folder / "config.json").read_text())
    weights = read_safetensors(folder / "model.safetensors")
    epsilon = float(config["layer_norm_eps"])
    graph = Graph()

    def weight(name: str) -> str:
        return graph.constant(weights[name])

    # There are no segment ids as input: every token is in segment 0, so its row is added to each position's row.
    positions = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    layer_norm = "embeddings.LayerNorm."
    hidden = graph.node(
        "EmbedLayerNormalization",
        [
            "input_ids",
            "",
            weight("embeddings.word_embeddings.weight"),
            graph.constant(positions),
            "",
            weight(layer_norm + "weight"),
            weight(layer_norm + "bias"),
        ],
        domain=MS,
        outputs=2,
        epsilon=epsilon,
    )
    lengths = graph.node("ReduceSum", ["attention_mask", graph.constant(np.array([1], np.int64))], keepdims=0)

    for index in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{index}."
        projections = [f"{layer}attention.self.{name}." for name in ("query", "key", "value")]
        packed = np.concatenate([weights[name + "weight"].T for name in projections], axis=1)
        biases = np.concatenate([weights[name + "bias"] for name in projections])
        attended = graph.node(
            "Attention",
            [hidden, graph.constant(packed), graph.constant(biases), lengths],
            domain=MS,
            num_heads=config["num_attention_heads"],
        )
        for product, source in (("attention.output.", None), ("output.", "intermediate.dense.")):
            if source:
                inner = graph.node("MatMul", [hidden, graph.constant(weights[layer + source + "weight"].T)])
                attended = graph.node("BiasGelu", [inner, weight(layer + source + "bias")], domain=MS)
            output = graph.node("MatMul", [attended, graph.constant(weights[layer + product + "dense.weight"].T)])
            norm = layer + product + "LayerNorm."
            hidden = graph.node(
                "SkipLayerNormalization",
                [
                    output,
                    hidden,
                    weight(norm + "weight"),
                    weight(norm + "bias"),
                    weight(layer + product + "dense.bias"),
                ],
                domain=MS,
                epsilon=epsilon,
            )

    mask = graph.node("Cast", ["attention_mask"], to=TensorProto.FLOAT)
    # [n, 1, length] × [n, length, hidden] is the sum over the text's own tokens. The normalisation below makes the division by
    # their number unnecessary.
    row = graph.node("Unsqueeze", [mask, graph.constant(np.array([1], np.int64))])
    total = graph.node("Squeeze", [graph.node("MatMul", [row, hidden]), graph.constant(np.array([1], np.int64))])
    graph.nodes.append(helper.make_node("LpNormalization", [total], ["embeddings"], axis=1, p=2))

    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["n", "length"])
    mask_info = helper.make_tensor_value_info("attention_mask", TensorProto.INT32, ["n", "length"])
    out = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", config["hidden_size"]])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "encoder", [ids, mask_info], [out], graph.constants),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MS, 1)],
    )
    model.ir_version = 9
    return model.SerializeToString()


class OnnxPeer:
    """Texts to vectors in this process, as a careful user of ONNX Runtime would do it."""

    def __init__(self, folder: Path, threads: int, batch: int = 32) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(build_model(folder), options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        limit = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(limit)
        self.batch = batch

    def embed(self, texts: list[str]) -> np.ndarray:
        """Returns [n, hidden] in the order of `texts`. Batches are formed by length so that there is little padding."""
        encodings = self.tokenizer.encode_batch(texts)
        order = sorted(range(len(texts)), key=lambda i: len(encodings[i].ids))
        rows: list[np.ndarray | None] = [None] * len(texts)
        for start in range(0, len(order), self.batch):
            chosen = order[start : start + self.batch]
            longest = len(encodings[chosen[-1]].ids)
            ids = np.zeros((len(chosen), longest), np.int32)
            mask = np.zeros((len(chosen), longest), np.int32)
            for place, index in enumerate(chosen):
                tokens = encodings[index].ids
                ids[place, : len(tokens)] = tokens
                mask[place, : len(tokens)] = 1
            answer = self.session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
            for place, index in enumerate(chosen):
                rows[index] = answer[place]
        return np.stack(rows)
