import JSON

/// BERT (Devlin et al. 2018, arXiv 1810.04805), the shape of BGE, E5, GTE-small and MiniLM; and RoBERTa (Liu et al.
/// 2019, arXiv 1907.11692) with its relatives XLM-RoBERTa and CamemBERT, which differ in the first position.
extension TransformerDescription {
  static func bert(_ file: JSONField) throws(FieldError) -> Self {
    var description = try bertLike(file, prefix: "bert")
    description.longestSequence = try file.size("max_position_embeddings")
    return description
  }

  /// Positions begin behind the id of the padding.
  static func roberta(_ file: JSONField) throws(FieldError) -> Self {
    var description = try bertLike(file, prefix: "roberta")
    let padding = try file.optional("pad_token_id")?.integer(in: 0...1 << 20) ?? 1
    description.firstPosition = padding + 1
    description.longestSequence = try file.size("max_position_embeddings") - description.firstPosition
    return description
  }

  private static func bertLike(_ file: JSONField, prefix: String) throws(FieldError) -> Self {
    _ = try file.optional("position_embedding_type")?.string(oneOf: ["absolute"])
    try file.refuseFlag("is_decoder")
    try file.refuseFlag("add_cross_attention")
    let hidden = try file.size("hidden_size")
    let heads = try file.size("num_attention_heads")
    let headWidth = try file.headWidth(hidden, heads: heads)
    return Self(
      vocabularySize: try file.size("vocab_size"), hiddenSize: hidden,
      intermediateSize: try file.size("intermediate_size"), heads: heads, keyHeads: heads, headWidth: headWidth,
      longestSequence: 0, learnedPositions: try file.size("max_position_embeddings"), hasTokenTypes: true,
      normEpsilon: Float(try file.number("layer_norm_eps", default: 1e-12)),
      layers: Array(repeating: Layer(), count: try file.size("num_hidden_layers")),
      activation: try file.activation("hidden_act"), dropout: try file.bertDropout(),
      names: [
        WeightNames(
          prefixes: ["", "\(prefix)."], words: "embeddings.word_embeddings",
          positions: "embeddings.position_embeddings", tokenTypes: "embeddings.token_type_embeddings",
          embeddingNorm: "embeddings.LayerNorm", layer: "encoder.layer.",
          queryKeyValue: ["attention.self.query", "attention.self.key", "attention.self.value"],
          attentionOutput: "attention.output.dense", attentionNorms: ["attention.output.LayerNorm"],
          feedForwardInput: ["intermediate.dense"], feedForwardOutput: "output.dense",
          feedForwardNorms: ["output.LayerNorm"])
      ])
  }
}
