import JSON

/// NomicBERT (Nussbaum et al. 2024, arXiv 2402.01613): BERT with rotary positions, a gate, and without biases.
extension TransformerDescription {
  static func nomicBERT(_ file: JSONField) throws(FieldError) -> Self {
    // Files of the model's own code use the names of GPT-2.
    let isOld = file.optional("n_embd") != nil
    let hidden = try file.size(isOld ? "n_embd" : "hidden_size")
    let heads = try file.size(isOld ? "n_head" : "num_attention_heads")
    let headWidth = try file.headWidth(hidden, heads: heads, key: isOld ? "n_head" : "num_attention_heads")
    try file.refuseFlag("prenorm")
    try file.refuseFlag("use_rms_norm")
    try file.refuseFlag("rotary_emb_interleaved")
    try file.require("rotary_emb_fraction", 1)
    if let width = file.optional("head_dim"), try width.integer(in: 1...1 << 24) != headWidth {
      throw width.refused("must be \(headWidth), the hidden size over the number of heads")
    }
    let rotary = try file.rotary(base: "rotary_emb_base", default: isOld ? 10_000 : 1_000)
    if let factor = file.optional("rotary_scaling_factor") {
      throw factor.refused("is not supported; supported: null")
    }
    var biases = Biases()
    biases.queryKeyValue = try file.flag("qkv_proj_bias")
    biases.attentionOutput = biases.queryKeyValue
    biases.feedForwardInput = try file.flag("mlp_fc1_bias")
    biases.feedForwardOutput = try file.flag("mlp_fc2_bias")
    var dropout = try file.bertDropout(default: 0)
    if isOld {
      dropout.embedding = try file.dropoutRate("embd_pdrop", default: 0)
      dropout.attention = try file.dropoutRate("attn_pdrop", default: 0)
      dropout.attentionOutput = try file.dropoutRate("resid_pdrop", default: 0)
      dropout.output = dropout.attentionOutput
    }
    let inner = isOld ? "n_inner" : "intermediate_size"
    return Self(
      vocabularySize: try file.size("vocab_size"), hiddenSize: hidden,
      intermediateSize: try file.size(inner, default: 4 * hidden), heads: heads, keyHeads: heads, headWidth: headWidth,
      // Beyond what it was trained on, the model's own code changes the rotary base with the length.
      longestSequence: try file.size(isOld ? "max_trained_positions" : "max_position_embeddings", default: 2048),
      hasTokenTypes: true,
      normEpsilon: Float(try file.number(isOld ? "layer_norm_epsilon" : "layer_norm_eps", default: 1e-12)),
      layers: Array(
        repeating: Layer(rotary: rotary), count: try file.size(isOld ? "n_layer" : "num_hidden_layers")),

      activation: try file.activation(isOld ? "activation_function" : "hidden_act", default: "silu"), isGated: true,
      biases: biases, dropout: dropout,
      names: [
        WeightNames(
          prefixes: ["", "bert.", "model."], words: "embeddings.word_embeddings",
          tokenTypes: "embeddings.token_type_embeddings", embeddingNorm: "emb_ln", layer: "encoder.layers.",
          queryKeyValue: ["attn.Wqkv"], attentionOutput: "attn.out_proj", attentionNorms: ["norm1"],
          feedForwardInput: ["mlp.fc12", "mlp.fc11"], feedForwardOutput: "mlp.fc2", feedForwardNorms: ["norm2"]),
        WeightNames(
          prefixes: ["", "nomic_bert.", "model."], words: "embeddings.word_embeddings",
          tokenTypes: "embeddings.token_type_embeddings", embeddingNorm: "embeddings.LayerNorm", layer: "layers.",
          queryKeyValue: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
          attentionOutput: "self_attn.o_proj", attentionNorms: ["post_attention_layernorm"],
          feedForwardInput: ["mlp.gate_proj", "mlp.up_proj"], feedForwardOutput: "mlp.down_proj",
          feedForwardNorms: ["post_mlp_layernorm"]),
      ])
  }
}
