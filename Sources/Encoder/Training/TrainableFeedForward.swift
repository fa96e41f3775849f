import SimilarityCore

/// The two dense layers of a feed-forward block and what stands between them: an activation, or a gate.
struct TrainableFeedForward: Sendable {
  let input: TrainableDense
  let output: TrainableDense
  let activation: Activation
  let isGated: Bool
  /// Between the layers.
  let dropout: DropoutSite?
  /// Where a pass keeps what the first layer gives.
  let inner: Int
  let residual: TrainableResidual

  /// Runs the block for the rows `part`.
  func forward(
    _ state: UnsafeMutablePointer<Float>, _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext,
    _ scratch: TrainingWorkspace.Scratch, _ operands: LayerOperands?
  ) {
    let x = residual.enter(state, kept, part, context, scratch)
    let inner = kept.rows(self.inner, input.outputs, part)
    input.forward(x, part, context, operands?.operands[2], scratch, into: inner)
    activate(inner, part, context, into: scratch.b)
    let result = residual.result(kept, part, scratch)
    output.forward(scratch.b, part, context, operands?.operands[3], scratch, into: result)
    residual.leave(result, state, kept, part, context, scratch)
  }

  private func activate(
    _ inner: UnsafePointer<Float>, _ part: Range<Int>, _ context: PassContext, into out: UnsafeMutablePointer<Float>
  ) {
    let width = output.inputs
    if isGated {
      context.kernels.gate(inner, rows: part.count, width: width, activation, into: out)
    } else {
      context.kernels.activateForward(inner, count: part.count * width, activation, into: out)
    }
    context.drop(out, part, width: width, dropout, into: out)
  }

  /// The backward pass for the rows `part`, but for the weights: the derivatives by the hidden states become those by the
  /// states before the block, and what ``addWeightGradient(_:piece:_:_:to:)`` needs is written to the workspace.
  func backward(
    _ workspace: TrainingWorkspace, _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext,
    _ scratch: TrainingWorkspace.Scratch, _ operands: LayerOperands?, partial: UnsafeMutablePointer<Float>
  ) {
    let dy = workspace.feedForwardGradient + part.lowerBound * output.outputs
    residual.leaveBackward(workspace.state, kept, part, context, scratch, partial: partial, into: dy)
    let inner = kept.rows(self.inner, input.outputs, part)
    let (width, count) = (output.inputs, part.count * output.inputs)
    let (first, second) = (operands?.operands[2], operands?.operands[3])
    let activated = workspace.activated + part.lowerBound * width
    activate(inner, part, context, into: activated)
    output.round(input: activated, part, second)
    input.round(input: workspace.feedForwardInput + part.lowerBound * input.inputs, part, first)
    scratch.a.update(repeating: 0, count: count)
    output.addInputGradient(dy, part, context, second, scratch, to: scratch.a)
    context.drop(scratch.a, part, width: width, dropout, into: scratch.a)
    let dx = workspace.innerGradient + part.lowerBound * input.outputs
    if isGated {
      context.kernels.gateBackward(scratch.a, inner, rows: part.count, width: width, activation, into: dx)
    } else {
      context.kernels.activateBackward(scratch.a, inner, count: count, activation, into: dx)
    }
    residual.enterBackward(workspace.state, kept, part, context, scratch, partial: partial) { target in
      input.addInputGradient(dx, part, context, first, scratch, to: target)
    }
  }

  /// The pieces of ``addWeightGradient(_:piece:_:_:to:)``.
  var pieces: Int { input.pieces + output.pieces }

  func addWeightGradient(
    _ workspace: TrainingWorkspace, piece: Int, _ context: PassContext, _ operands: LayerOperands?,
    to gradients: UnsafeMutablePointer<Float>
  ) {
    if piece < input.pieces {
      input.addWeightGradient(
        workspace.innerGradient, workspace.feedForwardInput, rows: context.rows.count, piece: piece, context,
        operands?.operands[2], to: gradients)
    } else {
      output.addWeightGradient(
        workspace.feedForwardGradient, workspace.activated, rows: context.rows.count, piece: piece - input.pieces,
        context, operands?.operands[3], to: gradients)
    }
  }
}
