import SimilarityCore

/// The attention block of one layer: projections, norms of heads, rotary positions and attention.
struct TrainableAttention: Sendable {
  /// Where a pass keeps what the backward pass needs.
  struct Places: Sendable {
    /// Queries, keys and values as the projection gives them.
    var queryKeyValue: Int
    /// The result of attention.
    var context: Int
    /// The logarithms of the sums of exponentials: [heads, length] of each text.
    var logSums: Int
  }

  /// Without bias and dropout.
  let shape: TrainingAttention
  let queryKeyValue: TrainableDense
  let output: TrainableDense
  let queryNorm: TrainableNorm?
  let keyNorm: TrainableNorm?
  let rotary: TrainableRotary?
  let relativeBias: TrainableRelativeBias?
  /// Of the weights.
  let dropout: DropoutSite?
  let places: Places
  let residual: TrainableResidual
  let queryPartial: Int
  let keyPartial: Int

  /// Whether attention takes something else than what the projection gives.
  private var prepares: Bool { queryNorm != nil || keyNorm != nil || rotary != nil }

  /// Projects the rows `part` to queries, keys and values.
  func project(
    _ workspace: TrainingWorkspace, _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext,
    _ scratch: TrainingWorkspace.Scratch, _ operands: LayerOperands?
  ) {
    let x = residual.enter(workspace.state, kept, part, context, scratch)
    queryKeyValue.forward(
      x, part, context, operands?.operands[0], scratch,
      into: kept.rows(places.queryKeyValue, queryKeyValue.outputs, part))
    prepare(workspace, kept, part, context, scratch)
  }

  /// Normalises and rotates queries and keys.
  private func prepare(
    _ workspace: TrainingWorkspace, _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext,
    _ scratch: TrainingWorkspace.Scratch
  ) {
    guard prepares else { return }
    let stride = queryKeyValue.outputs
    let target = workspace.prepared + part.lowerBound * stride
    let given = kept.rows(places.queryKeyValue, stride, part)
    target.update(from: given, count: part.count * stride)
    for side in sides {
      guard let norm = side.norm else { continue }
      for row in 0..<part.count {
        norm.forward(
          given + row * stride + side.first, rows: side.heads, context, scratch: scratch.norm,
          statistics: scratch.statistics, into: target + row * stride + side.first)
      }
    }
    rotate(target, part, context, backward: false)
  }

  /// Queries and keys: the first value in a row, the number of heads, and their norm.
  private var sides: [(first: Int, heads: Int, norm: TrainableNorm?, partial: Int)] {
    [
      (0, shape.heads, queryNorm, queryPartial),
      (shape.heads * shape.headWidth, shape.keyHeads, keyNorm, keyPartial),
    ]
  }

  private func rotate(
    _ rows: UnsafeMutablePointer<Float>, _ part: Range<Int>, _ context: PassContext, backward: Bool
  ) {
    guard let rotary else { return }
    let stride = queryKeyValue.outputs
    context.rows.forEachText(in: part) { _, row, position, count in
      for side in sides {
        rotary.apply(
          rows + (row - part.lowerBound) * stride + side.first, position: position, count: count, stride: stride,
          heads: side.heads, headWidth: shape.headWidth, context.kernels, backward: backward)
      }
    }
  }

  /// What attention takes, [tokens, queryKeyValue.outputs].
  private func prepared(_ workspace: TrainingWorkspace, _ kept: KeptRows) -> UnsafeMutablePointer<Float> {
    prepares ? workspace.prepared : kept.all(places.queryKeyValue)
  }

  private func shape(of text: Int, _ context: PassContext, _ bias: [Float]?) -> TrainingAttention {
    var shape = self.shape
    shape.bias = bias
    if let dropout = context.dropout, let site = self.dropout, site.probability > 0 {
      shape.dropout = TrainingAttention.WeightDropout(
        seed: dropout.seed, serial: dropout.serials[text], site: site.site, probability: site.probability)
    }
    return shape
  }

  /// Attention for some texts and heads.
  func attend(
    _ workspace: TrainingWorkspace, _ kept: KeptRows, _ piece: AttentionPiece, _ context: PassContext, _ bias: [Float]?,
    _ scratch: TrainingWorkspace.Scratch
  ) {
    let qkv = prepared(workspace, kept)
    for text in piece.texts {
      let (start, length) = (context.rows.starts[text], context.rows.sequences[text].count)
      context.kernels.attentionForward(
        shape(of: text, context, bias), qkv + start * queryKeyValue.outputs, length: length, keyHeads: piece.keyHeads,
        scratch: scratch.attention, into: kept.all(places.context) + start * output.inputs,
        logSums: kept.all(places.logSums) + start * shape.heads)
    }
  }

  /// Projects the result of attention and adds it to the hidden states, for the rows `part`.
  func finish(
    _ workspace: TrainingWorkspace, _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext,
    _ scratch: TrainingWorkspace.Scratch, _ operands: LayerOperands?
  ) {
    let result = residual.result(kept, part, scratch)
    output.forward(
      kept.rows(places.context, output.inputs, part), part, context, operands?.operands[1], scratch, into: result)
    residual.leave(result, workspace.state, kept, part, context, scratch)
  }

  /// The backward pass of ``finish(_:_:_:_:_:_:)``, but for the weights.
  func finishBackward(
    _ workspace: TrainingWorkspace, _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext,
    _ scratch: TrainingWorkspace.Scratch, _ operands: LayerOperands?, partial: UnsafeMutablePointer<Float>
  ) {
    let dy = workspace.attentionGradient + part.lowerBound * output.outputs
    residual.leaveBackward(workspace.state, kept, part, context, scratch, partial: partial, into: dy)
    let dx = workspace.contextGradient + part.lowerBound * output.inputs
    dx.update(repeating: 0, count: part.count * output.inputs)
    output.round(input: kept.rows(places.context, output.inputs, part), part, operands?.operands[1])
    output.addInputGradient(dy, part, context, operands?.operands[1], scratch, to: dx)
    prepare(workspace, kept, part, context, scratch)
  }

  /// The backward pass of attention for some texts and heads.
  func attendBackward(
    _ workspace: TrainingWorkspace, _ kept: KeptRows, _ piece: AttentionPiece, _ context: PassContext, _ bias: [Float]?,
    _ scratch: TrainingWorkspace.Scratch, to gradients: UnsafeMutablePointer<Float>
  ) {
    let (qkv, width) = (prepared(workspace, kept), queryKeyValue.outputs)
    for text in piece.texts {
      let (start, length) = (context.rows.starts[text], context.rows.sequences[text].count)
      if relativeBias != nil { scratch.bias.update(repeating: 0, count: shape.heads * (2 * length - 1)) }
      context.kernels.attentionBackward(
        shape(of: text, context, bias), qkv + start * width, out: kept.all(places.context) + start * output.inputs,
        logSums: kept.all(places.logSums) + start * shape.heads,
        dout: workspace.contextGradient + start * output.inputs, length: length, keyHeads: piece.keyHeads,
        scratch: scratch.attention, dqkv: workspace.preparedGradient + start * width,
        dbias: relativeBias == nil ? nil : scratch.bias)
      relativeBias?.add(scratch.bias, length: length, keyHeads: piece.keyHeads, to: gradients)
    }
  }

  /// The backward pass of ``project(_:_:_:_:_:_:)``, but for the weights.
  func projectBackward(
    _ workspace: TrainingWorkspace, _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext,
    _ scratch: TrainingWorkspace.Scratch, _ operands: LayerOperands?, partial: UnsafeMutablePointer<Float>
  ) {
    let stride = queryKeyValue.outputs
    let dy = workspace.preparedGradient + part.lowerBound * stride
    rotate(dy, part, context, backward: true)
    let given = kept.rows(places.queryKeyValue, stride, part)
    for side in sides {
      guard let norm = side.norm else { continue }
      for row in 0..<part.count {
        let (x, target) = (given + row * stride + side.first, dy + row * stride + side.first)
        norm.forward(
          x, rows: side.heads, context, scratch: scratch.norm, statistics: scratch.statistics, into: scratch.a)
        norm.backward(
          target, x, statistics: scratch.statistics, rows: side.heads, context, scratch: scratch.norm, into: target,
          partial: partial + side.partial)
      }
    }
    let x = workspace.attentionInput + part.lowerBound * queryKeyValue.inputs
    queryKeyValue.round(input: x, part, operands?.operands[0])
    residual.enterBackward(workspace.state, kept, part, context, scratch, partial: partial) { target in
      queryKeyValue.addInputGradient(dy, part, context, operands?.operands[0], scratch, to: target)
    }
  }

  /// Adds what a piece has found to the gradients of norms.
  func add(
    _ partial: UnsafePointer<Float>, _ kernels: Kernels, to gradients: UnsafeMutablePointer<Float>
  ) {
    queryNorm?.add(partial + queryPartial, kernels, to: gradients)
    keyNorm?.add(partial + keyPartial, kernels, to: gradients)
    residual.add(partial, kernels, to: gradients)
  }
}

/// Texts and heads that one thread attends to.
struct AttentionPiece: Sendable {
  let texts: Range<Int>
  let keyHeads: Range<Int>

  /// Divides the texts of a pass.
  ///
  /// - Parameter byHead: whether a head's texts must be in one piece, because they add to the same gradients.
  static func pieces(of rows: TokenRows, keyHeads: Int, byHead: Bool) -> [AttentionPiece] {
    let texts = rows.sequences.indices
    if byHead { return (0..<keyHeads).map { AttentionPiece(texts: texts, keyHeads: $0..<$0 + 1) } }
    var pieces: [AttentionPiece] = []
    var first = 0
    for text in texts {
      // The heads of a long text are enough work for many threads.
      if rows.sequences[text].count >= 256 {
        if first < text { pieces.append(AttentionPiece(texts: first..<text, keyHeads: 0..<keyHeads)) }
        pieces += (0..<keyHeads).map { AttentionPiece(texts: text..<text + 1, keyHeads: $0..<$0 + 1) }
        first = text + 1
      } else if rows.starts[text + 1] - rows.starts[first] >= 64 {
        pieces.append(AttentionPiece(texts: first..<text + 1, keyHeads: 0..<keyHeads))
        first = text + 1
      }
    }
    if first < texts.upperBound {
      pieces.append(AttentionPiece(texts: first..<texts.upperBound, keyHeads: 0..<keyHeads))
    }
    return pieces
  }
}
