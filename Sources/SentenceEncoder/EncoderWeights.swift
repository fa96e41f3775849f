import Safetensors

/// Scale and shift of one LayerNorm.
struct NormWeights: Sendable {
  let gamma: [Float]
  let beta: [Float]
}

/// One transformer layer (Devlin et al. 2018; post-norm, as in Vaswani et al. 2017).
struct LayerWeights: Sendable {
  /// Queries, keys and values in one product: [hidden → 3·hidden].
  let queryKeyValue: Linear
  let attentionOutput: Linear
  let attentionNorm: NormWeights
  let intermediate: Linear
  let output: Linear
  let outputNorm: NormWeights
}

/// All weights of an encoder, read from memory-mapped safetensors.
struct EncoderWeights: Sendable {
  /// [vocabulary, hidden], read where the file is mapped.
  let words: WordTable
  /// [positions, hidden]: the position's vector plus that of token type 0, which every token of a single text has.
  let positions: [Float]
  let embeddingNorm: NormWeights
  let layers: [LayerWeights]

  init(_ archive: SafetensorsArchive, _ configuration: EncoderConfiguration) throws(EncoderError) {
    let source = WeightSource(archive)
    let hidden = configuration.hiddenSize
    words = try WordTable(source, vocabulary: configuration.vocabularySize, width: hidden)
    let types = try source.floats("embeddings.token_type_embeddings.weight", [nil, hidden])
    guard types.count >= hidden else {
      throw EncoderError(key: "model.safetensors: embeddings.token_type_embeddings.weight", message: "is empty")
    }
    var positions = try source.floats("embeddings.position_embeddings.weight", [configuration.maxPositions, hidden])
    for index in positions.indices { positions[index] += types[index % hidden] }
    self.positions = positions
    embeddingNorm = try source.norm("embeddings.LayerNorm", hidden)
    var layers: [LayerWeights] = []
    for index in 0..<configuration.hiddenLayers {
      layers.append(try Self.layer("encoder.layer.\(index)", source, configuration))
    }
    self.layers = layers
  }

  private static func layer(
    _ name: String, _ source: WeightSource, _ configuration: EncoderConfiguration
  ) throws(EncoderError) -> LayerWeights {
    let hidden = configuration.hiddenSize
    let inner = configuration.intermediateSize
    var weights: [Float] = []
    var bias: [Float] = []
    for part in ["query", "key", "value"] {
      weights += try source.floats("\(name).attention.self.\(part).weight", [hidden, hidden])
      bias += try source.floats("\(name).attention.self.\(part).bias", [hidden])
    }
    return LayerWeights(
      queryKeyValue: try Linear(inputs: hidden, outputs: 3 * hidden, weights: weights, bias: bias),
      attentionOutput: try source.linear("\(name).attention.output.dense", hidden, hidden),
      attentionNorm: try source.norm("\(name).attention.output.LayerNorm", hidden),
      intermediate: try source.linear(
        "\(name).intermediate.dense", hidden, inner, activation: configuration.activation.shim),
      output: try source.linear("\(name).output.dense", inner, hidden),
      outputNorm: try source.norm("\(name).output.LayerNorm", hidden))
  }
}
