import JSON

/// ModernBERT (Warner et al. 2024, arXiv 2412.13663), the shape of gte-modernbert and ruri-v3: norms before the blocks,
/// rotary positions, a gate, and windows in all layers but every third.
extension TransformerDescription {
  static func modernBERT(_ file: JSONField) throws(FieldError) -> Self {
    let hidden = try file.size("hidden_size")
    let heads = try file.size("num_attention_heads")
    let headWidth = try file.headWidth(hidden, heads: heads)
    let window = try file.size("local_attention", default: 128) / 2
    let all = try file.rotary(kind: "full_attention", base: "global_rope_theta", default: 160_000)
    let near = try file.rotary(kind: "sliding_attention", base: "local_rope_theta", default: 10_000)
    let period = try file.size("global_attn_every_n_layers", default: 3)
    var layers: [Layer] = []
    for isNear in try file.windowed(layers: try file.size("num_hidden_layers"), period: period, first: 0) {
      // The embedding ends in a norm, so the first layer does not begin with one.
      layers.append(
        Layer(
          rotary: isNear ? near : all, before: isNear ? window : nil, after: isNear ? window : nil,
          normalizesInput: !layers.isEmpty))
    }
    let hasBias = try file.flag("attention_bias")
    let inner = try file.flag("mlp_bias")
    let attentionRate = try file.dropoutRate("attention_dropout", default: 0)
    return Self(
      vocabularySize: try file.size("vocab_size"), hiddenSize: hidden,
      intermediateSize: try file.size("intermediate_size"), heads: heads, keyHeads: heads, headWidth: headWidth,
      longestSequence: try file.size("max_position_embeddings"),
      norm: .layer(hasBias: try file.flag("norm_bias")),
      normEpsilon: Float(try file.number("norm_eps", default: 1e-5)), placement: .before, layers: layers,
      activation: try file.activation("hidden_activation"),
      isGated: true,
      biases: Biases(
        queryKeyValue: hasBias, attentionOutput: hasBias, feedForwardInput: inner, feedForwardOutput: inner),
      dropout: DropoutRates(
        embedding: try file.dropoutRate("embedding_dropout", default: 0), attention: attentionRate,
        attentionOutput: attentionRate, inner: try file.dropoutRate("mlp_dropout", default: 0)),
      names: [
        WeightNames(
          prefixes: ["", "model."], words: "embeddings.tok_embeddings", embeddingNorm: "embeddings.norm",
          finalNorm: "final_norm", layer: "layers.", queryKeyValue: ["attn.Wqkv"], attentionOutput: "attn.Wo",
          attentionNorms: ["attn_norm"], feedForwardInput: ["mlp.Wi"], feedForwardOutput: "mlp.Wo",
          feedForwardNorms: ["mlp_norm"])
      ])
  }
}
