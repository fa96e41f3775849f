import JSON
import Safetensors
import SimilarityCore

/// The settings of a BERT encoder (Devlin et al. 2018, arXiv 1810.04805) in `config.json`.
struct BERTConfiguration: Sendable, Equatable {
  enum Activation: String, Sendable, CaseIterable {
    /// x·Φ(x), where Φ is the distribution function of the standard normal distribution.
    case gelu
    /// The approximation of it by tanh, as is `gelu_pytorch_tanh`.
    case geluNew = "gelu_new"
    case geluTanh = "gelu_pytorch_tanh"
    case relu
  }

  let hiddenSize: Int
  let hiddenLayers: Int
  let attentionHeads: Int
  let intermediateSize: Int
  let activation: Activation
  let layerNormEpsilon: Float
  let vocabularySize: Int
  /// The number of rows of the position table, which is the most tokens of a sequence.
  let maxPositions: Int

  /// The number of values of one attention head.
  var headWidth: Int { hiddenSize / attentionHeads }

  /// Reads `config.json`.
  ///
  /// - Throws: ``FieldError`` naming the key that is missing, malformed or not supported.
  init(_ file: JSONField) throws(FieldError) {
    _ = try file.optional("position_embedding_type")?.string(oneOf: ["absolute"])
    for flag in ["is_decoder", "add_cross_attention"] {
      if let field = file.optional(flag), try field.bool() {
        throw field.refused("'true' is not supported; supported: false")
      }
    }
    let known = Activation.allCases.map(\.rawValue)
    activation = Activation(rawValue: try file.optional("hidden_act")?.string(oneOf: known) ?? "gelu") ?? .gelu
    hiddenSize = try Self.size("hidden_size", in: file)
    hiddenLayers = try Self.size("num_hidden_layers", in: file)
    attentionHeads = try Self.size("num_attention_heads", in: file)
    intermediateSize = try Self.size("intermediate_size", in: file)
    vocabularySize = try Self.size("vocab_size", in: file)
    maxPositions = try Self.size("max_position_embeddings", in: file)
    layerNormEpsilon = Float(try file.optional("layer_norm_eps")?.number() ?? 1e-12)
    guard hiddenSize.isMultiple(of: attentionHeads) else {
      throw file.refused("num_attention_heads", "does not divide hidden_size")
    }
  }

  /// Reads a size. The bound ensures that no product of two sizes overflows.
  private static func size(_ key: String, in file: JSONField) throws(FieldError) -> Int {
    try file.required(key).integer(in: 1...1 << 24)
  }
}

extension BERTConfiguration.Activation {
  var kernel: SimilarityCore.Activation {
    switch self {
    case .gelu: .gelu
    case .geluNew, .geluTanh: .geluTanh
    case .relu: .relu
    }
  }
}

/// The weights of one transformer layer (Devlin et al. 2018; LayerNorm after each block, as in Vaswani et al. 2017).
struct BERTLayer: Sendable {
  /// The projections to queries, keys and values as one layer: [hidden → 3·hidden].
  let queryKeyValue: DenseLayer
  let attentionOutput: DenseLayer
  let attentionNorm: NormWeights
  let intermediate: DenseLayer
  let output: DenseLayer
  let outputNorm: NormWeights
}

/// All weights of a BERT encoder, read from memory-mapped safetensors.
struct BERTWeights: Sendable {
  /// [vocabulary, hidden], the word vectors; used where the file is mapped when it holds f32.
  let words: WordTable
  /// [positions, hidden]: the vector of the position plus that of token type 0, which all tokens of a single text have.
  let positions: [Float]
  let embeddingNorm: NormWeights
  let layers: [BERTLayer]

  /// - Throws: ``EncoderError`` naming the tensor that is missing, has the wrong shape or cannot be read.
  init(
    _ archive: SafetensorsArchive, _ configuration: BERTConfiguration, _ precision: Precision, _ kernels: Kernels
  ) throws(EncoderError) {
    let isTaskModel = archive.tensor("bert.embeddings.word_embeddings.weight") != nil
    let source = WeightSource(
      archive, prefix: isTaskModel ? "bert." : "", precision: precision, kernels: kernels)
    let hidden = configuration.hiddenSize
    words = try WordTable(source, vocabulary: configuration.vocabularySize, width: hidden)
    let types = try source.floats("embeddings.token_type_embeddings.weight", [nil, hidden])
    guard types.count >= hidden else {
      throw .folder(key: "model.safetensors: embeddings.token_type_embeddings.weight", message: "is empty")
    }
    var positions = try source.floats("embeddings.position_embeddings.weight", [configuration.maxPositions, hidden])
    for index in positions.indices { positions[index] += types[index % hidden] }
    self.positions = positions
    embeddingNorm = try source.norm("embeddings.LayerNorm", hidden)
    var layers: [BERTLayer] = []
    for index in 0..<configuration.hiddenLayers {
      layers.append(try Self.layer("encoder.layer.\(index)", source, configuration))
    }
    self.layers = layers
  }

  private static func layer(
    _ name: String, _ source: WeightSource, _ configuration: BERTConfiguration
  ) throws(EncoderError) -> BERTLayer {
    let hidden = configuration.hiddenSize
    let inner = configuration.intermediateSize
    var weights: [Float] = []
    var bias: [Float] = []
    for part in ["query", "key", "value"] {
      weights += try source.floats("\(name).attention.self.\(part).weight", [hidden, hidden])
      bias += try source.floats("\(name).attention.self.\(part).bias", [hidden])
    }
    return BERTLayer(
      queryKeyValue: try source.dense(hidden, 3 * hidden, weights: weights, bias: bias),
      attentionOutput: try source.dense("\(name).attention.output.dense", hidden, hidden),
      attentionNorm: try source.norm("\(name).attention.output.LayerNorm", hidden),
      intermediate: try source.dense(
        "\(name).intermediate.dense", hidden, inner, activation: configuration.activation.kernel),
      output: try source.dense("\(name).output.dense", inner, hidden),
      outputNorm: try source.norm("\(name).output.LayerNorm", hidden))
  }
}
