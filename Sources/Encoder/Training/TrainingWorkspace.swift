import SimilarityCore

/// The memory of one forward or backward pass that nobody needs after it.
// SAFETY: one pass at a time owns a workspace. Its threads write to what belongs to their rows, outputs or heads, and each
// has scratch memory of its own.
final class TrainingWorkspace: @unchecked Sendable {
  /// The sizes that do not depend on the tokens.
  struct Sizes: Sendable {
    var hidden: Int
    var queryKeyValue: Int
    var context: Int
    /// What the first layer of a feed-forward block gives for a token, and what its second one takes.
    var inner: Int
    var activated: Int
    var attention: TrainingAttention
    /// The floats of a piece's part of the gradients of norms, within one layer.
    var partial: Int
    /// Whether attention has a bias by distance.
    var hasBias: Bool
    /// Whether products are of bf16.
    var rounds: Bool
  }

  /// The scratch memory of one thread.
  struct Scratch {
    /// Buffers for the rows of a piece, as wide as the widest layer.
    let a: UnsafeMutablePointer<Float>
    let b: UnsafeMutablePointer<Float>
    let c: UnsafeMutablePointer<Float>
    /// The rows of a product that are not whole groups, where products are of bf16.
    let product: UnsafeMutablePointer<Float>
    /// What norms need.
    let norm: UnsafeMutablePointer<Float>
    /// Statistics of norms that are computed again.
    let statistics: UnsafeMutablePointer<Float>
    /// What attention needs.
    let attention: UnsafeMutablePointer<Float>
    /// The gradients of a bias by distance.
    let bias: UnsafeMutablePointer<Float>
  }

  /// [tokens, hidden]: the hidden states, or the derivatives by them.
  let state: UnsafeMutablePointer<Float>
  /// [tokens, queryKeyValue]: queries, keys and values as attention takes them.
  let prepared: UnsafeMutablePointer<Float>
  /// [tokens, queryKeyValue]: the derivatives by them.
  let preparedGradient: UnsafeMutablePointer<Float>
  /// [tokens, hidden]: what the attention block takes.
  let attentionInput: UnsafeMutablePointer<Float>
  /// [tokens, context]: the derivatives by the result of attention.
  let contextGradient: UnsafeMutablePointer<Float>
  /// [tokens, hidden]: the derivatives by the result of the attention block.
  let attentionGradient: UnsafeMutablePointer<Float>
  /// [tokens, hidden]: what the feed-forward block takes.
  let feedForwardInput: UnsafeMutablePointer<Float>
  /// [tokens, inner]: the derivatives by what its first layer gives.
  let innerGradient: UnsafeMutablePointer<Float>
  /// [tokens, activated]: what its second layer takes.
  let activated: UnsafeMutablePointer<Float>
  /// [tokens, hidden]: the derivatives by its result.
  let feedForwardGradient: UnsafeMutablePointer<Float>

  private let memory: AlignedMemory
  private let partials: UnsafeMutablePointer<Float>
  private let pieces: Int
  private let partialFloats: Int
  private let scratches: [Scratch]
  private let pool: TrainingMemory

  init(
    _ rows: TokenRows, _ sizes: Sizes, workers: Int, _ pool: TrainingMemory
  ) throws(EncodingFailure) {
    let tokens = rows.count
    let longest = rows.sequences.reduce(1) { max($0, $1.count) }
    let piece = TokenRows.longestPiece(of: tokens)
    var plan = BufferPlan()
    let widths = [
      sizes.hidden, sizes.queryKeyValue, sizes.queryKeyValue, sizes.hidden, sizes.context, sizes.hidden, sizes.hidden,
      sizes.inner, sizes.activated, sizes.hidden,
    ]
    let places = widths.map { plan.add($0) }
    let widest = max(sizes.hidden, sizes.inner, sizes.queryKeyValue)
    let own = [
      piece * widest, piece * widest, piece * widest,
      sizes.rounds ? (piece + DenseOperand.rowsPerGroup) * widest : 0, 2 * max(sizes.hidden, sizes.attention.headWidth),
      max(2 * piece, sizes.attention.heads),
      sizes.attention.scratch(length: longest),
      sizes.hasBias ? sizes.attention.heads * (2 * longest - 1) : 0,
    ].map { ($0 + 15) / 16 * 16 }
    let ownFloats = own.reduce(0, +)
    let partialFloats = (sizes.partial + 15) / 16 * 16
    let partialStart = tokens * plan.floats
    let scratchStart = partialStart + rows.pieces.count * partialFloats
    memory = try pool.take(floats: scratchStart + workers * ownFloats)
    self.pool = pool
    let start = memory.floats
    let buffers = places.map { start + tokens * $0 }
    (state, prepared, preparedGradient) = (buffers[0], buffers[1], buffers[2])
    (attentionInput, contextGradient, attentionGradient) = (buffers[3], buffers[4], buffers[5])
    (feedForwardInput, innerGradient, activated) = (buffers[6], buffers[7], buffers[8])
    feedForwardGradient = buffers[9]
    partials = start + partialStart
    pieces = rows.pieces.count
    self.partialFloats = partialFloats
    partials.update(repeating: 0, count: pieces * partialFloats)
    scratches = (0..<workers).map { worker in
      var next = start + scratchStart + worker * ownFloats
      let parts = own.map { count in
        defer { next += count }
        return next
      }
      return Scratch(
        a: parts[0], b: parts[1], c: parts[2], product: parts[3], norm: parts[4], statistics: parts[5],
        attention: parts[6], bias: parts[7])
    }
  }

  deinit { pool.give(back: memory) }

  func scratch(of worker: Int) -> Scratch { scratches[worker] }

  /// A piece's part of the gradients of norms, which is zeros at first.
  func partial(of piece: Int) -> UnsafeMutablePointer<Float> { partials + piece * partialFloats }

  /// Calls `body` with the part of each piece, in order, and sets it to zeros.
  func collectPartials(_ body: (UnsafePointer<Float>) -> Void) {
    for piece in 0..<pieces { body(partial(of: piece)) }
    partials.update(repeating: 0, count: pieces * partialFloats)
  }
}
