"""The tiny encoders: settings as the models on the Hugging Face Hub have them, and what stands behind each encoder."""

from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import Tokenizer

import tiny_tokenizers


@dataclass
class Model:
    """One folder. `settings` is config.json without the size of the vocabulary, which the tokenizer gives."""

    name: str
    tokenizer: Tokenizer
    tokenizer_class: str
    settings: dict
    dtype: str = "F32"
    limit: int = 512  # tokens a text is cut to
    pooling: list[str] = field(default_factory=lambda: ["mean"])
    include_prompt: bool = True
    dense: list[tuple[int, str, bool]] = field(default_factory=list)  # outputs, activation, bias
    normalize: bool = True
    sentence_settings: dict = field(default_factory=dict)  # config_sentence_transformers.json
    shards: int = 1
    prefix: str = ""  # put before each tensor's name, as files of whole models with a head have it
    new_pooling_settings: bool = False  # the keys that sentence-transformers writes since 5.4
    save_settings: bool = False  # config.json as transformers 5 writes it, not as older versions did
    labels: int = 0  # of a cross-encoder; 0 for an encoder of sentences


BERT = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
}
ROBERTA = BERT | {
    "model_type": "roberta",
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
DISTILBERT = {
    "model_type": "distilbert",
    "dim": 48,
    "n_layers": 2,
    "n_heads": 3,
    "hidden_dim": 96,
    "activation": "gelu",
    "max_position_embeddings": 512,
    "sinusoidal_pos_embds": False,
    "pad_token_id": 0,
}
MPNET = BERT | {
    "model_type": "mpnet",
    "max_position_embeddings": 514,
    "relative_attention_num_buckets": 32,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "layer_norm_eps": 1e-5,
}
del MPNET["type_vocab_size"], MPNET["position_embedding_type"]
# The first keys are those of transformers, the second group those of the model on the Hub. They say the same.
NOMIC = {
    "model_type": "nomic_bert",
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0},
} | {
    "n_embd": 32,
    "n_layer": 3,
    "n_head": 2,
    "n_inner": 64,
    "n_positions": 2048,
    "activation_function": "swiglu",
    "layer_norm_epsilon": 1e-12,
    "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
    "rotary_scaling_factor": None,
    "prenorm": False,
    "qkv_proj_bias": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "use_rms_norm": False,
    "parallel_block": False,
    "causal": False,
}
# Layers 0 and 3 see everything, 1 and 2 eight tokens to each side.
MODERNBERT = {
    "model_type": "modernbert",
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "hidden_activation": "gelu",
    "max_position_embeddings": 2048,
    "norm_eps": 1e-5,
    "norm_bias": False,
    "attention_bias": False,
    "mlp_bias": False,
    "global_attn_every_n_layers": 3,
    "local_attention": 16,
    "global_rope_theta": 160000.0,
    "local_rope_theta": 10000.0,
    "position_embedding_type": "absolute",
    "pad_token_id": 0,
    "bos_token_id": 2,
    "cls_token_id": 2,
    "eos_token_id": 3,
    "sep_token_id": 3,
    "classifier_pooling": "mean",
    "classifier_bias": False,
    "classifier_activation": "gelu",
}
# Four heads of 16 values are wider than the hidden state.
QWEN3 = {
    "model_type": "qwen3",
    "architectures": ["Qwen3ForCausalLM"],
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 64,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000,
    "rope_scaling": None,
    "attention_bias": False,
    "use_sliding_window": False,
    "sliding_window": None,
    "max_window_layers": 3,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
# EmbeddingGemma's file says 512 for a window that reaches 256 tokens to each side; so 16 here means 8 to each side.
GEMMA3 = {
    "model_type": "gemma3_text",
    "architectures": ["Gemma3TextModel"],
    "hidden_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "intermediate_size": 64,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "query_pre_attn_scalar": 24,
    "rope_theta": 1000000.0,
    "rope_local_base_freq": 10000.0,
    "rope_scaling": None,
    "sliding_window": 16,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
    "use_bidirectional_attention": True,
    "attention_bias": False,
    "attn_logit_softcapping": None,
    "final_logit_softcapping": None,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}


def models(scratch: Path) -> list[Model]:
    words = tiny_tokenizers.word_piece(800)
    short_words = Tokenizer.from_str(words.to_str())
    short_words.enable_truncation(7, direction="left")
    mpnet_words = tiny_tokenizers.word_piece(800, "<s>", "</s>", ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"])
    roberta_bytes = tiny_tokenizers.byte_level(500, "roberta")
    modern_bytes = tiny_tokenizers.byte_level(500, "modernbert")
    qwen_bytes = tiny_tokenizers.byte_level(500, "qwen")
    gemma_pieces = tiny_tokenizers.gemma(800)
    pieces = tiny_tokenizers.unigram(500, scratch)
    query_and_document = {"query": "search_query: ", "document": "search_document: "}
    return [
        Model(
            "bert-mean",
            words,
            "BertTokenizer",
            BERT,
            limit=128,
            sentence_settings={
                "prompts": {"query": "query: ", "document": "passage: "},
                "default_prompt_name": "document",
                "similarity_fn_name": "dot",
            },
        ),
        Model(
            "bert-cls-dense-bf16-sharded",
            words,
            "BertTokenizer",
            BERT | {"hidden_act": "gelu_new", "num_hidden_layers": 2},
            dtype="BF16",
            pooling=["cls"],
            dense=[(24, "torch.nn.modules.activation.Tanh", True)],
            normalize=False,
            shards=3,
            prefix="bert.",
        ),
        Model(
            "bert-cls-bf16-without-prompt",
            words,
            "BertTokenizer",
            BERT | {"num_hidden_layers": 2},
            dtype="BF16",
            limit=128,
            pooling=["cls"],
            include_prompt=False,
            sentence_settings={"prompts": query_and_document, "default_prompt_name": None},
        ),
        Model("distilbert-max", words, "DistilBertTokenizer", DISTILBERT, pooling=["max"], normalize=False),
        Model(
            "roberta-sqrt-f16", roberta_bytes, "RobertaTokenizer", ROBERTA, "F16", pooling=["mean_sqrt_len_tokens"]
        ),
        Model(
            "xlm-roberta-cls-mean-bf16",
            pieces,
            "XLMRobertaTokenizer",
            ROBERTA | {"model_type": "xlm-roberta"},
            dtype="BF16",
            pooling=["cls", "mean"],
            sentence_settings={"similarity_fn_name": "cosine"},
        ),
        Model(
            "camembert-weighted",
            pieces,
            "CamembertTokenizer",
            ROBERTA | {"model_type": "camembert"},
            pooling=["weightedmean"],
            prefix="roberta.",
        ),
        Model("mpnet-mean", mpnet_words, "MPNetTokenizer", MPNET),
        Model(
            "nomic-bert-without-prompt",
            words,
            "BertTokenizer",
            NOMIC,
            limit=2048,
            include_prompt=False,
            new_pooling_settings=True,
            sentence_settings={"prompts": query_and_document, "default_prompt_name": None},
        ),
        Model("modernbert-cls", modern_bytes, "PreTrainedTokenizerFast", MODERNBERT, limit=2048, pooling=["cls"]),
        Model(
            "modernbert-mean-bf16",
            modern_bytes,
            "PreTrainedTokenizerFast",
            MODERNBERT | {"num_hidden_layers": 3, "local_attention": 12, "norm_bias": True, "attention_bias": True},
            dtype="BF16",
            limit=2048,
            save_settings=True,
            new_pooling_settings=True,
        ),
        Model(
            "qwen3-last-bf16",
            qwen_bytes,
            "Qwen2Tokenizer",
            QWEN3,
            dtype="BF16",
            limit=2048,
            pooling=["lasttoken"],
            sentence_settings={
                "prompts": {"query": "Instruct: Find the lines that answer the question\nQuery:", "document": ""},
                "default_prompt_name": None,
                "similarity_fn_name": "cosine",
            },
        ),
        Model(
            "gemma3-dense",
            gemma_pieces,
            "GemmaTokenizer",
            GEMMA3,
            limit=2048,
            dense=[
                (96, "torch.nn.modules.linear.Identity", False),
                (48, "torch.nn.modules.linear.Identity", False),
            ],
            sentence_settings={
                "prompts": {"query": "task: search result | query: ", "document": "title: none | text: "},
                "default_prompt_name": None,
                "similarity_fn_name": "cosine",
            },
        ),
        Model("static", words, "", {}, pooling=[], normalize=False),
        Model("static-truncated", short_words, "", {}, pooling=[], normalize=False),
        Model("static-model2vec", words, "", {"model_type": "model2vec", "normalize": True}, pooling=[]),
        Model("rerank-bert", words, "BertTokenizer", BERT, labels=1),
        Model("rerank-roberta-bf16", roberta_bytes, "RobertaTokenizer", ROBERTA, "BF16", labels=1),
        Model(
            "rerank-xlm-roberta-3",
            pieces,
            "XLMRobertaTokenizer",
            ROBERTA | {"model_type": "xlm-roberta"},
            labels=3,
        ),
        Model("rerank-modernbert", modern_bytes, "PreTrainedTokenizerFast", MODERNBERT, limit=2048, labels=1),
        Model(
            "rerank-modernbert-cls-3",
            modern_bytes,
            "PreTrainedTokenizerFast",
            MODERNBERT | {"classifier_pooling": "cls", "classifier_bias": True},
            limit=2048,
            labels=3,
        ),
    ]
