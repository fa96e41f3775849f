"""CTranslate2 as a peer of embed.py, in f32, bf16 and int8: the folder's weights are written in its own format."""

import functools
import os
import tempfile

import ctranslate2
import numpy as np
import processor
from bert_folder import BertFolder
from ctranslate2.specs import Activation, TransformerEncoderModelSpec, TransformerEncoderSpec
from encoder_peer import EncoderPeer, Engine, Unavailable, Way

TYPES = {"f32": ["float32"], "bf16": ["bfloat16"], "int8": ["int8_float32", "int8_bfloat16"]}


def spec(folder: BertFolder) -> TransformerEncoderModelSpec:
    """The encoder with a LayerNorm behind each residual, as BERT has it, and without a pooling layer."""
    encoder = TransformerEncoderSpec(
        folder.layer_count, folder.heads, pre_norm=False, activation=Activation.GELU, layernorm_embedding=True
    )
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = folder.words
    encoder.position_encodings.encodings = folder.positions

    def linear(place, pair: tuple) -> None:
        place.weight, place.bias = pair

    def norm(place, pair: tuple) -> None:
        place.gamma, place.beta = pair

    norm(encoder.layernorm_embedding, folder.norm)
    for place, layer in zip(encoder.layer, folder.layers):
        linear(place.self_attention.linear[0], layer.qkv)
        linear(place.self_attention.linear[1], layer.attention)
        norm(place.self_attention.layer_norm, layer.attention_norm)
        linear(place.ffn.linear_0, layer.inner)
        linear(place.ffn.linear_1, layer.outer)
        norm(place.ffn.layer_norm, layer.outer_norm)

    model = TransformerEncoderModelSpec(encoder)
    vocabulary = folder.tokenizer().get_vocab()
    model.register_vocabulary(sorted(vocabulary, key=vocabulary.__getitem__))
    model.config.unk_token = "[UNK]"
    model.config.layer_norm_epsilon = folder.epsilon
    model.validate()
    model.optimize()
    return model


@functools.cache
def files(folder: BertFolder) -> dict[str, bytes]:
    """The files of the model by name, as `Encoder` takes them. Weights are f32 there, and are converted when loaded."""
    with tempfile.TemporaryDirectory() as place:
        spec(folder).save(place)
        return {entry.name: open(entry.path, "rb").read() for entry in os.scandir(place)}


class CTranslate2Peer(EncoderPeer):
    name = "CTranslate2"

    def __init__(self, precision: str, folder: BertFolder, threads: int) -> None:
        if precision == "bf16" and not processor.HAS_BF16:
            raise Unavailable("not on this processor")
        super().__init__(precision, folder, threads)
        supported = ctranslate2.get_supported_compute_types("cpu")
        self.types = [name for name in TYPES[precision] if name in supported]
        if not self.types:
            raise Unavailable("CTranslate2 does not have it on this processor")
        self.way = Way(1, self.types[0])

    def ways(self) -> list[Way]:
        return [Way(way.calls, name) for way in super().ways() for name in self.types]

    def open(self, way: Way) -> Engine:
        encoder = ctranslate2.Encoder(
            "encoder",
            files=files(self.folder),
            compute_type=way.variant,
            inter_threads=way.calls,
            intra_threads=self.threads // way.calls,
        )

        def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
            lengths = ctranslate2.StorageView.from_array(mask.sum(axis=1, dtype=np.int32))
            state = encoder.forward_batch(ctranslate2.StorageView.from_array(ids), lengths).last_hidden_state
            if state.dtype != ctranslate2.DataType.float32:
                state = state.to(ctranslate2.DataType.float32)
            # The sum over the text's own tokens; numpy reads the values where they are. Dividing by the norm makes the
            # division by their number unnecessary.
            total = np.matmul(mask[:, None, :].astype(np.float32), np.asarray(state))[:, 0]
            return total / np.linalg.norm(total, axis=1, keepdims=True)

        return run
