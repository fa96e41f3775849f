import JSON
import Platform

/// MPNet (Song et al. 2020, arXiv 2004.09297): BERT without token types, with positions that begin at 2, and with a
/// bias of the scores by distance.
extension TransformerDescription {
  static func mpnet(_ file: JSONField) throws(FieldError) -> Self {
    let hidden = try file.size("hidden_size")
    let heads = try file.size("num_attention_heads")
    let headWidth = try file.headWidth(hidden, heads: heads)
    let positions = try file.size("max_position_embeddings")
    return Self(
      vocabularySize: try file.size("vocab_size"), hiddenSize: hidden,
      intermediateSize: try file.size("intermediate_size"), heads: heads, keyHeads: heads, headWidth: headWidth,
      longestSequence: positions - 2, learnedPositions: positions, firstPosition: 2,
      normEpsilon: Float(try file.number("layer_norm_eps", default: 1e-12)),
      layers: Array(repeating: Layer(), count: try file.size("num_hidden_layers")),
      hasRelativeBias: true,
      activation: try file.activation("hidden_act"), dropout: try file.bertDropout(),
      names: [
        WeightNames(
          prefixes: ["", "mpnet."], words: "embeddings.word_embeddings", positions: "embeddings.position_embeddings",
          embeddingNorm: "embeddings.LayerNorm", relativeBias: "encoder.relative_attention_bias",
          layer: "encoder.layer.", queryKeyValue: ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
          attentionOutput: "attention.attn.o", attentionNorms: ["attention.LayerNorm"],
          feedForwardInput: ["intermediate.dense"], feedForwardOutput: "output.dense",
          feedForwardNorms: ["output.LayerNorm"])
      ])
  }

  /// The bucket of a distance, the place of the key minus that of the query (Raffel et al. 2019, arXiv 1910.10683):
  /// half of the buckets for each side, of which half stand for one distance each, and the others for distances up to
  /// 128 on a logarithmic scale.
  static func relativeBucket(of distance: Int, buckets: Int) -> Int {
    let half = buckets / 2
    let exact = max(1, half / 2)
    let size = abs(distance)
    let first = distance > 0 ? half : 0
    guard size >= exact else { return first + size }
    let ratio = log(Float(size) / Float(exact)) / Float(log(128 / Double(exact)))
    return first + min(half - 1, exact + Int(ratio * Float(half - exact)))
  }
}
