import JSON

/// The families of encoders that can be loaded, by `model_type` in `config.json`. A new family is a case here and a
/// file beside this one.
enum Family: String, CaseIterable {
  case bert
  case roberta
  case xlmRoberta = "xlm-roberta"
  case camembert
  case distilbert
  case mpnet
  case nomicBERT = "nomic_bert"
  case modernBERT = "modernbert"
  case qwen3
  case gemma3 = "gemma3_text"

  /// Reads `config.json`.
  ///
  /// - Throws: ``FieldError`` naming the key that is missing, malformed or not supported.
  static func description(_ file: JSONField) throws(FieldError) -> TransformerDescription {
    let type = try file.required("model_type")
    let description =
      switch Family(rawValue: try type.string(oneOf: allCases.map(\.rawValue))) {
      case .bert, nil: try TransformerDescription.bert(file)
      case .roberta, .xlmRoberta, .camembert: try TransformerDescription.roberta(file)
      case .distilbert: try TransformerDescription.distilBERT(file)
      case .mpnet: try TransformerDescription.mpnet(file)
      case .nomicBERT: try TransformerDescription.nomicBERT(file)
      case .modernBERT: try TransformerDescription.modernBERT(file)
      case .qwen3: try TransformerDescription.qwen3(file)
      case .gemma3: try TransformerDescription.gemma3(file)
      }
    guard description.layers.contains(where: { $0.rotary != nil }) else { return description }
    guard description.headWidth.isMultiple(of: 2) else {
      throw file.refused("the width of a head, \(description.headWidth), must be even for rotary positions")
    }
    // No tensor confirms the number of these positions, and each takes memory.
    guard description.longestSequence <= 1 << 20 else {
      throw file.refused("max_position_embeddings", "is more than \(1 << 20)")
    }
    return description
  }
}
