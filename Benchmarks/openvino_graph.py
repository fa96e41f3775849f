"""The encoder as an OpenVINO model, whose products with weights are made in one of several ways.

The graph is what OpenVINO's own converters make of BERT: plain operators, which its CPU plugin fuses, and attention as
`ScaledDotProductAttention`. Query, key and value are one product.
"""

import numpy as np
import openvino
from bert_folder import BertFolder
from openvino import Model, Output
from openvino import opset13 as op


class Products:
    """f32 weights. Whether they are multiplied in f32 or bf16 is a setting of the compiled model."""

    def input(self, x: Output) -> Output:
        return x

    def weight(self, matrix: np.ndarray) -> Output:
        return op.constant(matrix)


class ByteWeights(Products):
    """Weights are int8 with a symmetric scale for each output, as compression of weights makes them."""

    def weight(self, matrix: np.ndarray) -> Output:
        scale = np.abs(matrix).max(axis=1, keepdims=True) / np.float32(127)
        return op.multiply(op.convert(op.constant(np.rint(matrix / scale).astype(np.int8)), "f32"), op.constant(scale))


class Recording(Products):
    """Keeps what goes into each product, so that its range can be found."""

    def __init__(self) -> None:
        self.inputs: list[Output] = []

    def input(self, x: Output) -> Output:
        self.inputs.append(x)
        return x

    def extremes(self) -> list[Output]:
        """The lowest and the highest value of each input, one after the other."""
        axes = op.constant(np.array([0, 1, 2]))
        return [reduce(x, axes) for x in self.inputs for reduce in (op.reduce_min, op.reduce_max)]


class Bytes(Products):
    """Both sides of a product are int8: the ranges [products, 2] of the activations were recorded before."""

    def __init__(self, ranges: np.ndarray) -> None:
        self.ranges = iter(ranges.astype(np.float32))

    def input(self, x: Output) -> Output:
        low, high = (op.constant(value) for value in next(self.ranges))
        return op.fake_quantize(x, low, high, low, high, 256)

    def weight(self, matrix: np.ndarray) -> Output:
        most = np.abs(matrix).max(axis=1, keepdims=True)
        low, high = op.constant(-most), op.constant(most)
        return op.fake_quantize(op.constant(matrix), low, high, low, high, 255)


class Encoder:
    """Puts the graph together with one kind of products."""

    def __init__(self, folder: BertFolder, products: Products) -> None:
        self.folder = folder
        self.products = products

    def model(self) -> Model:
        """ids, mask [n, length] int32 -> [n, hidden] f32 of unit length, and the extremes when they are recorded."""
        ids = op.parameter([-1, -1], np.int32, name="ids")
        mask = op.parameter([-1, -1], np.int32, name="mask")
        ones = op.convert(mask, "f32")
        # 0 for a token, and a number that makes its weight 0 for padding: [n, 1, 1, length].
        padding = op.multiply(op.subtract(op.unsqueeze(ones, ints(1, 2)), floats(1)), floats(10_000))
        x = self._embedding(ids)
        for layer in self.folder.layers:
            attended = self._linear(self._attention(x, layer.qkv, padding), layer.attention)
            x = self._norm(op.add(attended, x), layer.attention_norm)
            inner = op.gelu(self._linear(x, layer.inner), "erf")
            x = self._norm(op.add(self._linear(inner, layer.outer), x), layer.outer_norm)
        # The sum over the text's own tokens. Dividing by the norm makes the division by their number unnecessary.
        total = op.squeeze(op.matmul(op.unsqueeze(ones, ints(1)), x, False, False), ints(1))
        outputs = [op.normalize_l2(total, ints(1), 1e-12, "max")]
        if isinstance(self.products, Recording):
            outputs += self.products.extremes()
        return Model(outputs, [ids, mask], "encoder")

    def _embedding(self, ids: Output) -> Output:
        length = op.gather(op.shape_of(ids, "i64"), ints(1), scalar(0))
        positions = op.slice(op.constant(self.folder.positions), ints(0), length, ints(1), ints(0))
        words = op.gather(op.constant(self.folder.words), ids, scalar(0))
        return self._norm(op.add(words, positions), self.folder.norm)

    def _attention(self, x: Output, weights: tuple, padding: Output) -> Output:
        heads, hidden = self.folder.heads, self.folder.hidden
        parts = op.split(self._linear(x, weights), scalar(2), 3).outputs()
        apart = [
            op.transpose(op.reshape(part, ints(0, 0, heads, hidden // heads), True), ints(0, 2, 1, 3)) for part in parts
        ]
        together = op.transpose(op.scaled_dot_product_attention(*apart, padding), ints(0, 2, 1, 3))
        return op.reshape(together, ints(0, 0, hidden), True)

    def _linear(self, x: Output, pair: tuple) -> Output:
        weight, bias = pair
        return op.add(op.matmul(self.products.input(x), self.products.weight(weight), False, True), row(bias))

    def _norm(self, x: Output, pair: tuple) -> Output:
        gamma, beta = pair
        return op.add(op.multiply(op.mvn(x, ints(-1), True, self.folder.epsilon, "INSIDE_SQRT"), row(gamma)), row(beta))


def ints(*values: int) -> Output:
    return op.constant(np.array(values, np.int64))


def scalar(value: int) -> Output:
    return op.constant(np.int64(value))


def floats(value: float) -> Output:
    return op.constant(np.float32(value))


def row(vector: np.ndarray) -> Output:
    return op.constant(vector.reshape(1, 1, -1))


def ranges(folder: BertFolder, core: openvino.Core, texts: list[str]) -> np.ndarray:
    """[products, 2]: the lowest and the highest value that goes into each product for these texts."""
    compiled = core.compile_model(Encoder(folder, Recording()).model(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = []
    for encoding in folder.tokenizer().encode_batch_fast(texts):
        ids = np.array([encoding.ids], np.int32)
        answer = compiled([ids, np.ones_like(ids)])
        found.append([float(answer[place]) for place in range(1, len(compiled.outputs))])
    pairs = np.array(found).reshape(len(texts), -1, 2)
    return np.stack([pairs[..., 0].min(axis=0), pairs[..., 1].max(axis=0)], axis=1)
