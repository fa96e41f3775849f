/// `config.json` of a BERT encoder (Devlin et al. 2018, arXiv 1810.04805): names as in the file.
public struct EncoderConfiguration: Sendable, Equatable {
  public enum Activation: String, Sendable, CaseIterable {
    /// x·Φ(x).
    case gelu
    /// The tanh approximation of it.
    case geluNew = "gelu_new"
    case geluTanh = "gelu_pytorch_tanh"
    case relu
  }

  public let hiddenSize: Int
  public let hiddenLayers: Int
  public let attentionHeads: Int
  public let intermediateSize: Int
  public let activation: Activation
  public let layerNormEpsilon: Float
  public let vocabularySize: Int
  /// Rows of the position table.
  public let maxPositions: Int

  public var headWidth: Int { hiddenSize / attentionHeads }

  /// - Throws: ``EncoderError`` naming the key that is missing, malformed or not supported.
  init(_ file: ConfigurationFile) throws(EncoderError) {
    let type = try file.string("model_type")
    guard type == "bert" else { throw file.unsupported("model_type", type, supported: "bert") }
    let position = try file.string("position_embedding_type", default: "absolute")
    guard position == "absolute" else {
      throw file.unsupported("position_embedding_type", position, supported: "absolute")
    }
    for flag in ["is_decoder", "add_cross_attention"] where try file.bool(flag, default: false) {
      throw file.unsupported(flag, "true", supported: "false")
    }
    let name = try file.string("hidden_act", default: "gelu")
    guard let activation = Activation(rawValue: name) else {
      let known = Activation.allCases.map(\.rawValue).joined(separator: ", ")
      throw file.unsupported("hidden_act", name, supported: known)
    }
    self.activation = activation
    hiddenSize = try Self.size("hidden_size", in: file)
    hiddenLayers = try Self.size("num_hidden_layers", in: file)
    attentionHeads = try Self.size("num_attention_heads", in: file)
    intermediateSize = try Self.size("intermediate_size", in: file)
    vocabularySize = try Self.size("vocab_size", in: file)
    maxPositions = try Self.size("max_position_embeddings", in: file)
    layerNormEpsilon = Float(try file.double("layer_norm_eps", default: 1e-12))
    guard hiddenSize.isMultiple(of: attentionHeads) else {
      throw EncoderError(key: "\(file.name): num_attention_heads", message: "does not divide hidden_size")
    }
  }

  /// A size that no product of two can overflow.
  private static func size(_ key: String, in file: ConfigurationFile) throws(EncoderError) -> Int {
    let value = try file.integer(key)
    guard (1...1 << 24).contains(value) else {
      throw EncoderError(key: "\(file.name): \(key)", message: "\(value) is out of range")
    }
    return value
  }
}
