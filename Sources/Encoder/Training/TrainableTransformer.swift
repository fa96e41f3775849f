import SimilarityCore

/// A transformer that can be trained (see ``Transformer``), with its pooling and the modules behind it.
///
/// The backward pass follows the forward pass part by part: each file of this folder has both. What a pass keeps is what
/// costs products to compute: results of activations, norms and dropout are computed again (Chen et al. 2016, arXiv
/// 1604.06174).
final class TrainableTransformer: TrainableModel {
  let layout: ParameterLayout
  let dimension: Int
  let longestSequence: Int
  private let description: TransformerDescription
  private let tokenTypes: Int
  private let embedding: TrainableEmbedding
  private let relativeBias: TrainableRelativeBias?
  private let layers: [(attention: TrainableAttention, feedForward: TrainableFeedForward)]
  private let finalNorm: (norm: TrainableNorm, sum: Int, statistics: Int)?
  private let pooling: TrainablePooling
  private let modules: TrainableModules
  /// The checkpoint of the transformer and those of modules, by their folders.
  let checkpoints: [String: Checkpoint]
  /// What a pass keeps of each token outside of the layers, and in one layer, in floats.
  private let outerPlan: BufferPlan
  private let layerPlan: BufferPlan
  private let sizes: TrainingWorkspace.Sizes
  private let kernels: Kernels
  /// Whether products are of bf16.
  private let rounds: Bool
  private let workspaces = TrainingMemory()
  private let passes = TrainingMemory()

  /// - Parameters:
  ///   - folder: where the transformer is within the model's folder; empty for the folder itself.
  ///   - modules: what stands behind the pooling, without a last Normalize, and the checkpoints of dense layers.
  ///   - rounds: whether products are of bf16, with sums in f32 and parameters of f32.
  /// - Throws: ``EncoderError`` naming the tensor that is missing or has another shape.
  init(
    _ description: TransformerDescription, _ checkpoint: Checkpoint, folder: String, poolings: [Pooling],
    _ modules: [TrainableLayout.SentenceModule], _ others: [String: Checkpoint], rounds: Bool, _ kernels: Kernels
  ) throws(EncoderError) {
    var made = TrainableLayout(checkpoint, folder: folder, description, kernels)
    let tables = try made.embedding()
    (embedding, tokenTypes) = (tables.0, tables.types)
    let bias = description.hasRelativeBias ? try made.relativeBias() : nil
    relativeBias = bias
    var outer = made.takePlan()
    var rotaries: [TransformerDescription.Rotary: TrainableRotary] = [:]
    for rotary in description.layers.compactMap(\.rotary) where rotaries[rotary] == nil {
      rotaries[rotary] = TrainableRotary(
        RotaryTable(rotary, headWidth: description.headWidth, positions: description.longestSequence))
    }
    var layers: [(attention: TrainableAttention, feedForward: TrainableFeedForward)] = []
    var (plan, partial) = (BufferPlan(), 2 * description.hiddenSize)
    for (index, layer) in description.layers.enumerated() {
      let (attention, feedForward) = try made.layer(index, rotary: layer.rotary.flatMap { rotaries[$0] }, bias)
      layers.append((attention, feedForward))
      partial = max(partial, made.partial)
      // Layers differ in their norms only.
      let own = made.takePlan()
      if own.floats > plan.floats { plan = own }
    }
    self.layers = layers
    layerPlan = plan
    if let final = try made.finalNorm() {
      finalNorm = (final, outer.add(final.width), outer.add(final.statistics))
    } else {
      finalNorm = nil
    }
    outerPlan = outer
    pooling = TrainablePooling(poolings: poolings, width: description.hiddenSize)
    self.modules = made.modules(modules)
    layout = made.layout
    var dimension = description.hiddenSize * poolings.count
    for case .dense(_, let shape) in modules { dimension = shape.outputs }
    self.dimension = dimension
    var checkpoints = others
    checkpoints[folder] = checkpoint
    self.checkpoints = checkpoints
    longestSequence = description.longestSequence
    sizes = TrainingWorkspace.Sizes(
      hidden: description.hiddenSize, queryKeyValue: layers.first?.attention.queryKeyValue.outputs ?? 0,
      context: layers.first?.attention.output.inputs ?? 0, inner: layers.first?.feedForward.input.outputs ?? 0,
      activated: layers.first?.feedForward.output.inputs ?? 0,
      attention: TrainingAttention(
        heads: description.heads, keyHeads: description.keyHeads, headWidth: description.headWidth,
        scale: description.attentionScale),
      partial: partial, hasBias: bias != nil, rounds: rounds)
    self.description = description
    self.kernels = kernels
    self.rounds = rounds
  }

  func keptBytes(lengths: [Int]) -> Int {
    let tokens = lengths.reduce(0, +)
    let floats = tokens * (outerPlan.floats + layers.count * layerPlan.floats)
    return 4 * (floats + lengths.count * (2 * dimension + description.hiddenSize))
  }

  /// Checks what a caller could have got wrong.
  private func check(_ sequences: [TokenSequence], _ dropout: Dropout?) throws(EncodingFailure) {
    precondition(dropout == nil || dropout?.serials.count == sequences.count, "a serial number for each sequence")
    for (index, sequence) in sequences.enumerated() {
      guard sequence.count > 0, sequence.count <= longestSequence,
        sequence.ids.allSatisfy({ $0 >= 0 && Int($0) < description.vocabularySize }),
        sequence.types.isEmpty || sequence.types.count == sequence.count,
        tokenTypes < 2 || sequence.types.allSatisfy({ $0 >= 0 && Int($0) < tokenTypes })
      else { throw .invalidInput(index) }
    }
  }

  func forward(
    _ sequences: [TokenSequence], _ values: FloatArray, dropout: Dropout?, keeps: Bool, _ team: Team?
  ) throws(EncodingFailure) -> (rows: Matrix, pass: TrainingPass?) {
    try check(sequences, dropout)
    let context = PassContext(
      kernels: kernels,
      rows: TokenRows(tokenTypes < 2 ? sequences.map { TokenSequence($0.ids, unpooled: $0.unpooled) } : sequences),
      values: UnsafePointer(values.start), dropout: dropout, team: team)
    let pass = try TransformerPass(
      context.rows, dropout, outerPlan, layerPlan, layers: keeps ? layers.count : 1, passes)
    let workspace = try TrainingWorkspace(context.rows, sizes, workers: team?.workers ?? 1, workspaces)
    let (state, outer) = (workspace.state, pass.outer)
    let bias = biases(context)
    let operands = try operands(for: context.rows, backward: false)
    try context.stepOverRows { [embedding] part, _, worker in
      embedding.forward(
        outer, part, context, workspace.scratch(of: worker), into: state + part.lowerBound * embedding.width)
    }
    for (index, (attention, feedForward)) in layers.enumerated() {
      let kept = pass.layer(keeps ? index : 0)
      try operands?.write(Self.dense(attention, feedForward), context)
      try context.stepOverRows { part, _, worker in
        attention.project(workspace, kept, part, context, workspace.scratch(of: worker), operands)
      }
      let pieces = attentionPieces(context.rows)
      try context.step(pieces.count) { piece, worker in
        attention.attend(workspace, kept, pieces[piece], context, bias, workspace.scratch(of: worker))
      }
      try context.stepOverRows { part, _, worker in
        let scratch = workspace.scratch(of: worker)
        attention.finish(workspace, kept, part, context, scratch, operands)
        feedForward.forward(state, kept, part, context, scratch, operands)
      }
    }
    if let (norm, sum, statistics) = finalNorm {
      try context.stepOverRows { part, _, worker in
        let x = outer.rows(sum, norm.width, part)
        let target = state + part.lowerBound * norm.width
        x.update(from: target, count: part.count * norm.width)
        norm.forward(
          x, rows: part.count, context, scratch: workspace.scratch(of: worker).norm,
          statistics: outer.rows(statistics, norm.statistics, part), into: target)
      }
    }
    let pooled = pooling.forward(context.rows, state, kernels)
    let (rows, kept) = modules.forward(pooled, context)
    if context.failure.isSet { throw .outOfMemory }
    guard keeps else { return (rows, nil) }
    pass.largest = pooling.largest(context.rows, state)
    pass.modules = kept
    return (rows, pass)
  }

  /// Memory for the operands of products of a layer; nil for a pass so small that they are not worth it, and where backward
  /// passes multiply with the values themselves.
  private func operands(for rows: TokenRows, backward: Bool) throws(EncodingFailure) -> LayerOperands? {
    guard rounds || (!backward && rows.count >= 256), let (attention, feedForward) = layers.first else { return nil }
    return try LayerOperands(Self.dense(attention, feedForward), rows: rows.count, rounds: rounds, workspaces)
  }

  private static func dense(_ attention: TrainableAttention, _ feedForward: TrainableFeedForward) -> [TrainableDense] {
    [attention.queryKeyValue, attention.output, feedForward.input, feedForward.output]
  }

  private func biases(_ context: PassContext) -> [Float]? {
    let longest = context.rows.sequences.reduce(1) { max($0, $1.count) }
    return relativeBias?.values(longest: longest, context.values)
  }

  private func attentionPieces(_ rows: TokenRows) -> [AttentionPiece] {
    AttentionPiece.pieces(of: rows, keyHeads: description.keyHeads, byHead: relativeBias != nil)
  }

  func backward(
    _ pass: TrainingPass, rows: Matrix, _ values: FloatArray, from depth: Int, into gradients: FloatArray, _ team: Team?
  ) throws(EncodingFailure) {
    guard let pass = pass as? TransformerPass else { preconditionFailure("the pass of another model") }
    precondition(rows.rows == pass.rows.sequences.count && rows.columns == dimension, "other rows than the pass gave")
    let context = PassContext(
      kernels: kernels, rows: pass.rows, values: UnsafePointer(values.start), dropout: pass.dropout, team: team)
    guard depth <= layers.count + 1 else { return }
    let workspace = try TrainingWorkspace(context.rows, sizes, workers: team?.workers ?? 1, workspaces)
    // SAFETY: the address of an array that the caller keeps.
    nonisolated(unsafe) let target = gradients.start
    let (state, outer) = (workspace.state, pass.outer)
    let pooled = modules.backward(rows, pass.modules, context, into: target)
    pooling.backward(pooled, context.rows, largest: pass.largest, into: state)
    if let (norm, sum, statistics) = finalNorm {
      try context.stepOverRows { part, piece, worker in
        let scratch = workspace.scratch(of: worker)
        let dy = state + part.lowerBound * norm.width
        norm.backward(
          dy, outer.rows(sum, norm.width, part), statistics: outer.rows(statistics, norm.statistics, part),
          rows: part.count, context, scratch: scratch.norm, into: dy, partial: workspace.partial(of: piece))
      }
      workspace.collectPartials { norm.add($0, kernels, to: target) }
    }
    let bias = biases(context)
    let operands = try operands(for: context.rows, backward: true)
    for index in layers.indices.reversed() where depth <= index + 1 {
      try operands?.write(Self.dense(layers[index].attention, layers[index].feedForward), context)
      try backward(index, pass, workspace, context, bias, operands, target)
    }
    guard depth == 0 else { return }
    try context.stepOverRows { [embedding] part, piece, worker in
      embedding.backward(
        state, outer, part, context, workspace.scratch(of: worker), partial: workspace.partial(of: piece))
    }
    workspace.collectPartials { embedding.norm?.add($0, kernels, to: target) }
    embedding.scatter(state, context, to: target)
  }

  /// The backward pass of one layer.
  private func backward(
    _ index: Int, _ pass: TransformerPass, _ workspace: TrainingWorkspace, _ context: PassContext, _ bias: [Float]?,
    _ operands: LayerOperands?, _ gradients: UnsafeMutablePointer<Float>
  ) throws(EncodingFailure) {
    nonisolated(unsafe) let gradients = gradients
    let (attention, feedForward) = layers[index]
    let kept = pass.layer(index)
    try context.stepOverRows { part, piece, worker in
      let (scratch, partial) = (workspace.scratch(of: worker), workspace.partial(of: piece))
      let width = attention.residual.width
      let input = workspace.feedForwardInput + part.lowerBound * width
      if !feedForward.residual.restoreInput(kept, part, context, scratch, into: input) {
        attention.residual.restoreOutput(kept, part, context, scratch, into: input)
      }
      feedForward.backward(workspace, kept, part, context, scratch, operands, partial: partial)
      attention.finishBackward(workspace, kept, part, context, scratch, operands, partial: partial)
    }
    let pieces = attentionPieces(context.rows)
    let (second, third) = (feedForward.pieces, feedForward.pieces + attention.output.pieces)
    try context.step(third + pieces.count) { piece, worker in
      if piece < second {
        feedForward.addWeightGradient(workspace, piece: piece, context, operands, to: gradients)
      } else if piece < third {
        attention.output.addWeightGradient(
          workspace.attentionGradient, kept.all(attention.places.context), rows: context.rows.count,
          piece: piece - second, context, operands?.operands[1], to: gradients)
      } else {
        attention.attendBackward(
          workspace, kept, pieces[piece - third], context, bias, workspace.scratch(of: worker), to: gradients)
      }
    }
    let below = index > 0 ? pass.layer(index - 1) : nil
    try context.stepOverRows { [layers, embedding] part, piece, worker in
      let (scratch, partial) = (workspace.scratch(of: worker), workspace.partial(of: piece))
      let input = workspace.attentionInput + part.lowerBound * attention.residual.width
      if !attention.residual.restoreInput(kept, part, context, scratch, into: input) {
        if let below {
          layers[index - 1].feedForward.residual.restoreOutput(below, part, context, scratch, into: input)
        } else {
          embedding.restore(pass.outer, part, context, scratch, into: input)
        }
      }
      attention.projectBackward(workspace, kept, part, context, scratch, operands, partial: partial)
    }
    try context.step(attention.queryKeyValue.pieces) { piece, _ in
      attention.queryKeyValue.addWeightGradient(
        workspace.preparedGradient, workspace.attentionInput, rows: context.rows.count, piece: piece, context,
        operands?.operands[0], to: gradients)
    }
    workspace.collectPartials { partial in
      feedForward.residual.add(partial, kernels, to: gradients)
      attention.add(partial, kernels, to: gradients)
    }
  }
}
