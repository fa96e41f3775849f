import JSON

/// Qwen3 (Yang et al. 2025, arXiv 2505.09388), the shape of Qwen3-Embedding: a causal decoder with RMSNorm before the
/// blocks, keys that heads share, norms of queries and keys, and a gate.
extension TransformerDescription {
  static func qwen3(_ file: JSONField) throws(FieldError) -> Self {
    try file.refuseFlag("use_sliding_window")
    let hidden = try file.size("hidden_size")
    let heads = try file.size("num_attention_heads")
    let keyHeads = try file.keyHeads(heads: heads)
    let headWidth = try file.size("head_dim", default: 128)
    let rotary = try file.rotary(base: "rope_theta", default: 10_000)
    let hasBias = try file.flag("attention_bias")
    return Self(
      vocabularySize: try file.size("vocab_size"), hiddenSize: hidden,
      intermediateSize: try file.size("intermediate_size"), heads: heads, keyHeads: keyHeads, headWidth: headWidth,
      longestSequence: try file.size("max_position_embeddings"), norm: .rms(gainOffset: 0),
      normEpsilon: Float(try file.number("rms_norm_eps", default: 1e-6)), placement: .before,
      layers: Array(repeating: Layer(rotary: rotary, after: 0), count: try file.size("num_hidden_layers")),
      normalizesHeads: true,
      activation: try file.activation("hidden_act", default: "silu"), isGated: true,
      biases: Biases(
        queryKeyValue: hasBias, attentionOutput: hasBias, feedForwardInput: false, feedForwardOutput: false),
      dropout: DropoutRates(attention: try file.dropoutRate("attention_dropout", default: 0)),
      names: [
        WeightNames(
          prefixes: ["", "model."], words: "embed_tokens", finalNorm: "norm", layer: "layers.",
          queryKeyValue: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
          headNorms: ["self_attn.q_norm", "self_attn.k_norm"], attentionOutput: "self_attn.o_proj",
          attentionNorms: ["input_layernorm"], feedForwardInput: ["mlp.gate_proj", "mlp.up_proj"],
          feedForwardOutput: "mlp.down_proj", feedForwardNorms: ["post_attention_layernorm"])
      ])
  }
}
