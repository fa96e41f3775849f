import SimilarityCore

/// What stands around an attention or a feed-forward block: norms, dropout and the residual connection.
struct TrainableResidual: Sendable {
  /// Where a pass keeps what the backward pass needs; places of a ``BufferPlan``.
  struct Places: Sendable {
    /// The hidden states before the block, where a norm stands before it or the states cannot be computed again.
    var input: Int?
    var inputStatistics: Int?
    /// What the norm behind the block takes.
    var output: Int?
    var outputStatistics: Int?
  }

  let placement: TransformerDescription.NormPlacement
  let width: Int
  let before: TrainableNorm?
  let after: TrainableNorm?
  let dropout: DropoutSite?
  let places: Places
  /// Where the parts of norms' gradients stand in those of a piece.
  let beforePartial: Int
  let afterPartial: Int

  /// What the block takes, [part.count, width]: the hidden states, or `scratch.a` with the norm of them.
  func enter(
    _ state: UnsafePointer<Float>, _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext,
    _ scratch: TrainingWorkspace.Scratch
  ) -> UnsafePointer<Float> {
    let x = state + part.lowerBound * width
    if let place = places.input {
      kept.rows(place, width, part).update(from: x, count: part.count * width)
    }
    guard let before, let place = places.inputStatistics else { return x }
    before.forward(
      x, rows: part.count, context, scratch: scratch.norm, statistics: kept.rows(place, before.statistics, part),
      into: scratch.a)
    return UnsafePointer(scratch.a)
  }

  /// Where the block writes its result, [part.count, width].
  func result(
    _ kept: KeptRows, _ part: Range<Int>, _ scratch: TrainingWorkspace.Scratch
  ) -> UnsafeMutablePointer<Float> {
    if case .around = placement, let place = places.output { return kept.rows(place, width, part) }
    return scratch.c
  }

  /// Adds the block's result to the hidden states. `scratch.a` is overwritten.
  func leave(
    _ result: UnsafeMutablePointer<Float>, _ state: UnsafeMutablePointer<Float>, _ kept: KeptRows, _ part: Range<Int>,
    _ context: PassContext, _ scratch: TrainingWorkspace.Scratch
  ) {
    let x = state + part.lowerBound * width
    guard let after, let output = places.output, let statistics = places.outputStatistics else {
      context.drop(result, part, width: width, dropout, into: result)
      return context.kernels.add(result, count: part.count * width, to: x)
    }
    let found = kept.rows(statistics, after.statistics, part)
    if case .after = placement {
      context.drop(result, part, width: width, dropout, into: result)
      return after.forward(
        result, residual: x, rows: part.count, context, scratch: scratch.norm, sum: kept.rows(output, width, part),
        statistics: found, into: x)
    }
    after.forward(
      result, rows: part.count, context, scratch: scratch.norm, statistics: found, into: scratch.a)
    context.drop(scratch.a, part, width: width, dropout, into: scratch.a)
    context.kernels.add(scratch.a, count: part.count * width, to: x)
  }

  /// The derivatives by the block's result, [part.count, width]; and those by the hidden states, [tokens, width], become
  /// those by the other side of the residual connection. `scratch.a` is overwritten.
  func leaveBackward(
    _ state: UnsafeMutablePointer<Float>, _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext,
    _ scratch: TrainingWorkspace.Scratch, partial: UnsafeMutablePointer<Float>,
    into result: UnsafeMutablePointer<Float>
  ) {
    let dx = state + part.lowerBound * width
    guard let after, let output = places.output, let statistics = places.outputStatistics else {
      return context.drop(dx, part, width: width, dropout, into: result)
    }
    let (x, found) = (kept.rows(output, width, part), kept.rows(statistics, after.statistics, part))
    if case .after = placement {
      after.backward(
        dx, x, statistics: found, rows: part.count, context, scratch: scratch.norm, into: dx,
        partial: partial + afterPartial)
      return context.drop(dx, part, width: width, dropout, into: result)
    }
    context.drop(dx, part, width: width, dropout, into: scratch.a)
    after.backward(
      scratch.a, x, statistics: found, rows: part.count, context, scratch: scratch.norm, into: result,
      partial: partial + afterPartial)
  }

  /// Adds the derivatives by what the block takes to those by the hidden states. `scratch.b` is
  /// overwritten.
  ///
  /// - Parameter add: adds the derivatives by what the block takes to what it is given, [part.count, width].
  func enterBackward(
    _ state: UnsafeMutablePointer<Float>, _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext,
    _ scratch: TrainingWorkspace.Scratch, partial: UnsafeMutablePointer<Float>,
    _ add: (UnsafeMutablePointer<Float>) -> Void
  ) {
    let dx = state + part.lowerBound * width
    guard let before, let input = places.input, let statistics = places.inputStatistics else { return add(dx) }
    scratch.b.update(repeating: 0, count: part.count * width)
    add(scratch.b)
    before.backward(
      scratch.b, kept.rows(input, width, part), statistics: kept.rows(statistics, before.statistics, part),
      rows: part.count, context, scratch: scratch.norm, into: scratch.b, partial: partial + beforePartial)
    context.kernels.add(scratch.b, count: part.count * width, to: dx)
  }

  /// What the block took, once more: nil where that is the result of what stands before the block.
  func restoreInput(
    _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext, _ scratch: TrainingWorkspace.Scratch,
    into out: UnsafeMutablePointer<Float>
  ) -> Bool {
    guard let place = places.input else { return false }
    let x = kept.rows(place, width, part)
    guard let before else {
      out.update(from: x, count: part.count * width)
      return true
    }
    before.forward(
      x, rows: part.count, context, scratch: scratch.norm, statistics: scratch.statistics, into: out)
    return true
  }

  /// The hidden states behind the block, once more, where a norm gives them.
  func restoreOutput(
    _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext, _ scratch: TrainingWorkspace.Scratch,
    into out: UnsafeMutablePointer<Float>
  ) {
    guard let after, let place = places.output else { return }
    after.forward(
      kept.rows(place, width, part), rows: part.count, context, scratch: scratch.norm, statistics: scratch.statistics,
      into: out)
  }

  /// Adds what a piece has found to the gradients.
  func add(
    _ partial: UnsafePointer<Float>, _ kernels: Kernels, to gradients: UnsafeMutablePointer<Float>
  ) {
    before?.add(partial + beforePartial, kernels, to: gradients)
    after?.add(partial + afterPartial, kernels, to: gradients)
  }
}

/// What a pass keeps of one layer, or of what stands before and behind the layers.
// SAFETY: threads write to rows of their own.
struct KeptRows: @unchecked Sendable {
  /// Where the memory begins, and for how many tokens it is.
  let start: UnsafeMutablePointer<Float>
  let tokens: Int

  /// The rows `part` of the buffer at `place`, which is `width` values wide.
  func rows(_ place: Int, _ width: Int, _ part: Range<Int>) -> UnsafeMutablePointer<Float> {
    start + place * tokens + part.lowerBound * width
  }

  /// The whole buffer.
  func all(_ place: Int) -> UnsafeMutablePointer<Float> { start + place * tokens }
}
