import JSON

/// DistilBERT (Sanh et al. 2019, arXiv 1910.01108): BERT without token types.
extension TransformerDescription {
  static func distilBERT(_ file: JSONField) throws(FieldError) -> Self {
    let hidden = try file.size("dim")
    let heads = try file.size("n_heads")
    let headWidth = try file.headWidth(hidden, heads: heads, key: "n_heads")
    let positions = try file.size("max_position_embeddings", default: 512)
    let hiddenRate = try file.dropoutRate("dropout", default: 0.1)
    return Self(
      vocabularySize: try file.size("vocab_size"), hiddenSize: hidden, intermediateSize: try file.size("hidden_dim"),
      heads: heads, keyHeads: heads, headWidth: headWidth, longestSequence: positions, learnedPositions: positions,
      normEpsilon: 1e-12, layers: Array(repeating: Layer(), count: try file.size("n_layers")),
      activation: try file.activation("activation"),
      dropout: DropoutRates(
        embedding: hiddenRate, attention: try file.dropoutRate("attention_dropout", default: 0.1), output: hiddenRate),
      names: [
        WeightNames(
          prefixes: ["", "distilbert."], words: "embeddings.word_embeddings",
          positions: "embeddings.position_embeddings", embeddingNorm: "embeddings.LayerNorm",
          layer: "transformer.layer.", queryKeyValue: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
          attentionOutput: "attention.out_lin", attentionNorms: ["sa_layer_norm"], feedForwardInput: ["ffn.lin1"],
          feedForwardOutput: "ffn.lin2", feedForwardNorms: ["output_layer_norm"])
      ])
  }
}
