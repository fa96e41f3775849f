import SimilarityCore

/// Makes the parts of a trainable transformer from its description, and the layout of their tensors on the way, whose
/// shapes are checked against the checkpoint.
struct TrainableLayout {
  private(set) var layout = ParameterLayout()
  private(set) var plan = BufferPlan()
  /// The floats of a piece's part of the gradients of norms.
  private(set) var partial = 0
  private let source: WeightSource
  private let checkpoint: Checkpoint
  private let prefix: String
  private let folder: String
  private let description: TransformerDescription
  private let names: WeightNames

  /// - Parameter folder: where the transformer is within the model's folder; empty for the folder itself.
  init(_ checkpoint: Checkpoint, folder: String, _ description: TransformerDescription, _ kernels: Kernels) {
    (names, prefix) = TransformerWeights.names(in: checkpoint, description)
    source = WeightSource(checkpoint, prefix: prefix, precision: .f32, kernels: kernels)
    self.checkpoint = checkpoint
    self.folder = folder
    self.description = description
  }

  /// The values of a token that a pass keeps so far. The next ones are those of another part.
  mutating func takePlan() -> BufferPlan {
    defer { (plan, partial) = (BufferPlan(), 0) }
    return plan
  }

  private mutating func add(
    _ name: String, _ shape: [Int?], _ role: ParameterLayout.Role, depth: Int
  ) throws(EncoderError) -> (start: Int, rows: Int) {
    let found = try source.tensor(name, shape).shape
    guard !found.contains(0) else { throw .folder(key: "model.safetensors: \(prefix)\(name)", message: "is empty") }
    return (layout.add(prefix + name, folder: folder, found, role, depth: depth), found[0])
  }

  private mutating func norm(_ name: String, _ width: Int, depth: Int) throws(EncoderError) -> TrainableNorm {
    // Checkpoints that were converted from TensorFlow keep its names.
    let old = checkpoint.tensor("\(prefix)\(name).gamma") != nil
    let gain = try add("\(name).\(old ? "gamma" : "weight")", [width], .norm, depth: depth).start
    var bias: Int?
    if case .layer(hasBias: true) = description.norm {
      bias = try add("\(name).\(old ? "beta" : "bias")", [width], .norm, depth: depth).start
    }
    return TrainableNorm(
      kind: description.norm, epsilon: description.normEpsilon, width: width, gain: gain, bias: bias)
  }

  private mutating func dense(
    _ names: [String], _ inputs: Int, _ outputs: [Int], hasBias: Bool, depth: Int
  ) throws(EncoderError) -> TrainableDense {
    var weights: [(start: Int, outputs: Int)] = []
    var biases: [(start: Int, outputs: Int)] = []
    for (name, count) in zip(names, outputs) {
      weights.append((try add("\(name).weight", [count, inputs], .matrix, depth: depth).start, count))
    }
    for (name, count) in zip(names, outputs) where hasBias {
      biases.append((try add("\(name).bias", [count], .bias, depth: depth).start, count))
    }
    return TrainableDense(inputs: inputs, weights: weights, biases: biases)
  }

  mutating func embedding() throws(EncoderError) -> (TrainableEmbedding, types: Int) {
    let width = description.hiddenSize
    let words = try add("\(names.words).weight", [description.vocabularySize, width], .table, depth: 0).start
    var positions: Int?
    if let rows = description.learnedPositions, let name = names.positions {
      positions = try add("\(name).weight", [rows, width], .table, depth: 0).start
    }
    var types: (start: Int, rows: Int)?
    if description.hasTokenTypes, let name = names.tokenTypes {
      types = try add("\(name).weight", [nil, width], .table, depth: 0)
    }
    var norm: TrainableNorm?
    var places = TrainableEmbedding.Places(sum: 0, statistics: 0)
    if let name = names.embeddingNorm {
      let made = try self.norm(name, width, depth: 0)
      places = TrainableEmbedding.Places(sum: plan.add(width), statistics: plan.add(made.statistics))
      norm = made
    }
    let embedding = TrainableEmbedding(
      width: width, words: words, positions: positions, types: types?.start, scale: description.embeddingScale,
      firstPosition: description.firstPosition, norm: norm,
      dropout: description.dropout.embedding.map { DropoutSite(site: 0, probability: $0) }, places: places)
    return (embedding, types?.rows ?? 1)
  }

  mutating func relativeBias() throws(EncoderError) -> TrainableRelativeBias? {
    guard let name = names.relativeBias else { return nil }
    let heads = description.heads
    let (start, buckets) = try add("\(name).weight", [nil, heads], .table, depth: 0)
    guard buckets >= 4 else {
      throw .folder(key: "model.safetensors: \(prefix)\(name).weight", message: "has only \(buckets) buckets")
    }
    return TrainableRelativeBias(
      start: start, buckets: buckets, heads: heads, keyHeads: description.keyHeads, scale: description.attentionScale)
  }

  mutating func finalNorm() throws(EncoderError) -> TrainableNorm? {
    guard let name = names.finalNorm else { return nil }
    return try norm(name, description.hiddenSize, depth: description.layers.count + 1)
  }

  mutating func layer(
    _ index: Int, rotary: TrainableRotary?, _ bias: TrainableRelativeBias?
  ) throws(EncoderError) -> (TrainableAttention, TrainableFeedForward) {
    let (hidden, inner, biases) = (description.hiddenSize, description.intermediateSize, description.biases)
    let (queries, keys) = (description.heads * description.headWidth, description.keyHeads * description.headWidth)
    let (layer, rates, depth) = (description.layers[index], description.dropout, index + 1)
    let name = "\(names.layer)\(index)."
    func site(_ place: Int, _ rate: Float?) -> DropoutSite? {
      rate.map { DropoutSite(site: UInt32(4 * index + place), probability: $0) }
    }
    let projections = names.queryKeyValue.map { name + $0 }
    let queryKeyValue = try dense(
      projections, hidden, projections.count == 1 ? [queries + 2 * keys] : [queries, keys, keys],
      hasBias: biases.queryKeyValue, depth: depth)
    var headNorms: [TrainableNorm] = []
    for key in description.normalizesHeads ? names.headNorms : [] {
      headNorms.append(try norm(name + key, description.headWidth, depth: depth))
    }
    let output = try dense(
      [name + names.attentionOutput], queries, [hidden], hasBias: biases.attentionOutput, depth: depth)
    let headPartials = headNorms.map { takePartial($0) }
    let attention = TrainableAttention(
      shape: TrainingAttention(
        heads: description.heads, keyHeads: description.keyHeads, headWidth: description.headWidth,
        scale: description.attentionScale, before: layer.before, after: layer.after),
      queryKeyValue: queryKeyValue, output: output, queryNorm: headNorms.first, keyNorm: headNorms.last, rotary: rotary,
      relativeBias: bias, dropout: site(1, rates.attention),
      places: TrainableAttention.Places(
        queryKeyValue: plan.add(queryKeyValue.outputs), context: plan.add(queries), logSums: plan.add(description.heads)
      ),
      residual: try residual(
        names.attentionNorms.map { name + $0 }, hasBefore: layer.normalizesInput, site(2, rates.attentionOutput),
        depth: depth),
      queryPartial: headPartials.first ?? 0, keyPartial: headPartials.last ?? 0)
    let inputs = names.feedForwardInput.map { name + $0 }
    let first = try dense(
      inputs, hidden, inputs.count == 1 ? [description.isGated ? 2 * inner : inner] : [inner, inner],
      hasBias: biases.feedForwardInput, depth: depth)
    let second = try dense(
      [name + names.feedForwardOutput], inner, [hidden], hasBias: biases.feedForwardOutput, depth: depth)
    let feedForward = TrainableFeedForward(
      input: first, output: second, activation: description.activation, isGated: description.isGated,
      dropout: site(3, rates.inner), inner: plan.add(first.outputs),
      residual: try residual(
        names.feedForwardNorms.map { name + $0 }, hasBefore: true, site(4, rates.output), depth: depth))
    return (attention, feedForward)
  }

  private mutating func residual(
    _ keys: [String], hasBefore: Bool, _ dropout: DropoutSite?, depth: Int
  ) throws(EncoderError) -> TrainableResidual {
    let (placement, hidden) = (description.placement, description.hiddenSize)
    var (before, after): (TrainableNorm?, TrainableNorm?)
    switch placement {
    case .after: after = try norm(keys[0], hidden, depth: depth)
    case .before: before = hasBefore ? try norm(keys[0], hidden, depth: depth) : nil
    case .around:
      before = try norm(keys[0], hidden, depth: depth)
      after = try norm(keys[1], hidden, depth: depth)
    }
    var places = TrainableResidual.Places()
    if case .after = placement {} else { places.input = plan.add(hidden) }
    if let before { places.inputStatistics = plan.add(before.statistics) }
    if let after {
      places.output = plan.add(hidden)
      places.outputStatistics = plan.add(after.statistics)
    }
    return TrainableResidual(
      placement: placement, width: hidden, before: before, after: after, dropout: dropout, places: places,
      beforePartial: before.map { takePartial($0) } ?? 0, afterPartial: after.map { takePartial($0) } ?? 0)
  }

  private mutating func takePartial(_ norm: TrainableNorm) -> Int {
    defer { partial += norm.partial }
    return partial
  }

  /// The modules behind the pooling.
  mutating func modules(_ modules: [SentenceModule]) -> TrainableModules {
    TrainableModules(
      modules: modules.map { module in
        guard case .dense(let path, let shape) = module else { return .normalize }
        let depth = description.layers.count + 1
        let weight = layout.add(
          "linear.weight", folder: path, [shape.outputs, shape.inputs], .matrix, depth: depth)
        let bias = shape.hasBias ? [layout.add("linear.bias", folder: path, [shape.outputs], .bias, depth: depth)] : []
        return .dense(
          TrainableDense(
            inputs: shape.inputs, weights: [(weight, shape.outputs)], biases: bias.map { ($0, shape.outputs) }),
          shape.activation)
      })
  }

  /// A module behind the pooling, as the folder states it.
  enum SentenceModule {
    case dense(path: String, shape: DenseModule.Shape)
    case normalize
  }
}
