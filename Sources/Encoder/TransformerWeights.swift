import Safetensors
import SimilarityCore

/// The weights of one transformer layer. A norm is nil where the layer has none.
struct TransformerLayer: Sendable {
  /// The projections to queries, keys and values as one layer.
  let queryKeyValue: DenseLayer
  let queryNorm: NormWeights?
  let keyNorm: NormWeights?
  let attentionOutput: DenseLayer
  let attentionNorms: BlockNorms
  /// With a gate, the projection to the activations and that to what they are multiplied with, as one layer.
  let feedForwardInput: DenseLayer
  let feedForwardOutput: DenseLayer
  let feedForwardNorms: BlockNorms

  /// Of the packed weights.
  var bytes: Int { queryKeyValue.bytes + attentionOutput.bytes + feedForwardInput.bytes + feedForwardOutput.bytes }
}

/// The norms before a block and after it.
struct BlockNorms: Sendable {
  var before: NormWeights?
  var after: NormWeights?
}

/// All weights of a transformer, read from memory-mapped safetensors.
struct TransformerWeights: Sendable {
  /// [vocabulary, hidden], the vectors of tokens; used where the file is mapped when it holds f32.
  let words: WordTable
  /// [longest, hidden], the vector of each position plus that of token type 0, which all tokens of a single text have;
  /// one row where positions are not learned; nil where there are neither.
  let positions: [Float]?
  /// [types − 1, hidden]: the vector of each other token type less that of type 0; nil where there is one type at most.
  let typeDifferences: [Float]?
  let embeddingNorm: NormWeights?
  let layers: [TransformerLayer]
  let finalNorm: NormWeights?
  let relativeBias: Attention.RelativeBias?

  /// - Throws: ``EncoderError`` naming the tensor that is missing, has the wrong shape or cannot be read.
  init(
    _ checkpoint: Checkpoint, _ description: TransformerDescription, _ precision: Precision, _ kernels: Kernels
  ) throws(EncoderError) {
    let (names, prefix) = Self.names(in: checkpoint, description)
    let source = WeightSource(checkpoint, prefix: prefix, precision: precision, kernels: kernels)
    let hidden = description.hiddenSize
    words = try WordTable(
      source, "\(names.words).weight", vocabulary: description.vocabularySize, width: hidden,
      scale: description.embeddingScale)
    (positions, typeDifferences) = try Self.positions(source, description, names)
    let norm = description.norm
    embeddingNorm = try names.embeddingNorm.map { name throws(EncoderError) in try source.norm(name, hidden, norm) }
    finalNorm = try names.finalNorm.map { name throws(EncoderError) in try source.norm(name, hidden, norm) }
    relativeBias = try names.relativeBias.map { name throws(EncoderError) in
      try Self.relativeBias(source, name, description)
    }
    var layers: [TransformerLayer] = []
    for (index, layer) in description.layers.enumerated() {
      layers.append(try Self.layer("\(names.layer)\(index).", layer, source, description, names))
    }
    self.layers = layers
  }

  /// The names that the checkpoint uses. Where none fits, the first ones are used, so that the error names a tensor.
  static func names(
    in checkpoint: Checkpoint, _ description: TransformerDescription
  ) -> (WeightNames, prefix: String) {
    for names in description.names {
      // The words may have the same name in several namings, so that the first layer has to be there as well.
      for prefix in names.prefixes where checkpoint.tensor("\(prefix)\(names.words).weight") != nil {
        let first = "\(prefix)\(names.layer)0.\(names.queryKeyValue[0]).weight"
        if checkpoint.tensor(first) != nil { return (names, prefix) }
      }
    }
    return (description.names[0], description.names[0].prefixes[0])
  }

  private static func positions(
    _ source: WeightSource, _ description: TransformerDescription, _ names: WeightNames
  ) throws(EncoderError) -> ([Float]?, types: [Float]?) {
    let hidden = description.hiddenSize
    var positions: [Float]?
    if let rows = description.learnedPositions, let name = names.positions {
      let table = try source.floats("\(name).weight", [rows, hidden])
      let start = description.firstPosition
      let end = min(rows, start + description.longestSequence)
      positions = Array(table[min(start, end) * hidden..<end * hidden])
    }
    guard description.hasTokenTypes, let name = names.tokenTypes else { return (positions, nil) }
    let types = try source.floats("\(name).weight", [nil, hidden])
    guard types.count >= hidden else {
      throw .folder(key: "model.safetensors: \(name).weight", message: "is empty")
    }
    var sums = positions ?? [Float](repeating: 0, count: hidden)
    for index in sums.indices { sums[index] += types[index % hidden] }
    let differences = types.indices.dropFirst(hidden).map { types[$0] - types[$0 % hidden] }
    return (sums, differences.isEmpty ? nil : differences)
  }

  private static func relativeBias(
    _ source: WeightSource, _ name: String, _ description: TransformerDescription
  ) throws(EncoderError) -> Attention.RelativeBias {
    let heads = description.heads
    let table = try source.floats("\(name).weight", [nil, heads])
    let buckets = table.count / heads
    guard buckets >= 4 else {
      throw .folder(key: "model.safetensors: \(name).weight", message: "has only \(buckets) buckets")
    }
    return Attention.RelativeBias(
      heads: heads, longest: description.longestSequence, scale: description.attentionScale
    ) { head, distance in
      let bucket = TransformerDescription.relativeBucket(of: distance, buckets: buckets)
      return table[min(bucket, buckets - 1) * heads + head]
    }
  }

  private static func layer(
    _ name: String, _ layer: TransformerDescription.Layer, _ source: WeightSource,
    _ description: TransformerDescription, _ names: WeightNames
  ) throws(EncoderError) -> TransformerLayer {
    let (hidden, inner, biases) = (description.hiddenSize, description.intermediateSize, description.biases)
    let (queries, keys) = (description.heads * description.headWidth, description.keyHeads * description.headWidth)
    func norm(_ key: String, _ width: Int) throws(EncoderError) -> NormWeights {
      try source.norm(name + key, width, description.norm)
    }
    func norms(_ keys: [String], skipsFirst: Bool = false) throws(EncoderError) -> BlockNorms {
      switch description.placement {
      case .after: return BlockNorms(after: try norm(keys[0], hidden))
      case .before: return BlockNorms(before: skipsFirst ? nil : try norm(keys[0], hidden))
      case .around: return BlockNorms(before: try norm(keys[0], hidden), after: try norm(keys[1], hidden))
      }
    }
    let projections = names.queryKeyValue.map { name + $0 }
    let inputs = names.feedForwardInput.map { name + $0 }
    let heads = description.normalizesHeads ? names.headNorms : []
    return TransformerLayer(
      queryKeyValue: try source.dense(
        projections, hidden, projections.count == 1 ? [queries + 2 * keys] : [queries, keys, keys],
        hasBias: biases.queryKeyValue),
      queryNorm: try heads.first.map { key throws(EncoderError) in try norm(key, description.headWidth) },
      keyNorm: try heads.last.map { key throws(EncoderError) in try norm(key, description.headWidth) },
      attentionOutput: try source.dense(
        [name + names.attentionOutput], queries, [hidden], hasBias: biases.attentionOutput),
      attentionNorms: try norms(names.attentionNorms, skipsFirst: !layer.normalizesInput),
      feedForwardInput: try source.dense(
        inputs, hidden, inputs.count == 1 ? [description.isGated ? 2 * inner : inner] : [inner, inner],
        hasBias: biases.feedForwardInput, activation: description.isGated ? .identity : description.activation),
      feedForwardOutput: try source.dense(
        [name + names.feedForwardOutput], inner, [hidden], hasBias: biases.feedForwardOutput),
      feedForwardNorms: try norms(names.feedForwardNorms))
  }
}
