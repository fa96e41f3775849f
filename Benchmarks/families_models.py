"""The models of families.py: one of each kind that Nearfar serves, in the size in which it is used."""

from dataclasses import dataclass

# Real models have 30,000 to 250,000 tokens. Their rows are looked up and not multiplied, so a small vocabulary changes
# the size of the folder and not the rate.
VOCABULARY = 8_192

# Tokens of the longest text that is measured, and of the positions that the models have.
LONGEST = 512


@dataclass(frozen=True)
class Family:
    """Sizes as config.json has them. `kind` is the prefix of the classes in transformers."""

    name: str
    kind: str
    layers: int
    hidden: int
    inner: int
    heads: int
    # What makes one vector of the tokens' hidden states: "mean", "cls" or "lasttoken".
    pooling: str
    # How weights are stored.
    dtype: str = "float32"
    # Heads of keys and values; 0 where there are as many as of queries.
    key_heads: int = 0
    # Values of a head; 0 where the heads divide the hidden state.
    head_values: int = 0
    # Whether one half of the inner layer's values is multiplied with the other.
    is_gated: bool = False

    @property
    def flop_per_token(self) -> int:
        """Of the products with weights alone: multiplications and additions. Attention's own depend on the length."""
        head = self.head_values or self.hidden // self.heads
        attention = 2 * self.hidden * head * (self.heads + (self.key_heads or self.heads))
        inner = (3 if self.is_gated else 2) * self.hidden * self.inner
        return 2 * self.layers * (attention + inner)

    def settings(self) -> dict:
        """Arguments of the configuration's class."""
        common = {
            "vocab_size": VOCABULARY,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": self.inner,
        }
        return common | {
            "Bert": {"max_position_embeddings": LONGEST, "pad_token_id": 0},
            # Layers 0, 3, 6, … see the whole text, the others 64 tokens to each side, which is the default.
            "ModernBert": {
                "max_position_embeddings": 8_192,
                "local_attention": 128,
                "global_attn_every_n_layers": 3,
                "pad_token_id": 0,
                "bos_token_id": 2,
                "cls_token_id": 2,
                "eos_token_id": 3,
                "sep_token_id": 3,
            },
            "Qwen3": {
                "max_position_embeddings": 32_768,
                "num_key_value_heads": self.key_heads,
                "head_dim": self.head_values,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
                "tie_word_embeddings": True,
                "bos_token_id": 0,
                "eos_token_id": 0,
            },
        }[self.kind]


FAMILIES = {
    family.name: family
    for family in [
        Family("minilm-l6", "Bert", 6, 384, 1_536, 12, "mean"),
        Family("multilingual-e5-small", "Bert", 12, 384, 1_536, 12, "mean"),
        Family("bge-base", "Bert", 12, 768, 3_072, 12, "cls"),
        Family("modernbert-base", "ModernBert", 22, 768, 1_152, 12, "mean", is_gated=True),
        Family(
            "qwen3-embedding-0.6b",
            "Qwen3",
            28,
            1_024,
            3_072,
            16,
            "lasttoken",
            dtype="bfloat16",
            key_heads=8,
            head_values=128,
            is_gated=True,
        ),
    ]
}
