import Platform
import Synchronization

/// The buffers of one forward pass, which are reused from batch to batch.
// SAFETY: one forward pass at a time owns a workspace: the pool gives it out and takes it back.
package final class Workspace: @unchecked Sendable {
  /// The sizes that, beside the number of tokens, decide how large the buffers are, in floats.
  package struct Sizes: Sendable {
    let hidden: Int
    let intermediate: Int
    /// The scratch memory of attention.
    let attention: Int

    package init(hidden: Int, intermediate: Int, attention: Int) {
      self.hidden = hidden
      self.intermediate = intermediate
      self.attention = attention
    }
  }

  /// The number of rows that the buffers hold: the tokens, rounded up as ``Linear/paddedRows(_:)`` requires.
  let tokens: Int
  /// [tokens, hidden]: the hidden states.
  let hidden: UnsafeMutablePointer<Float>
  /// [tokens, 3·hidden]: queries, keys and values of each token.
  let queryKeyValue: UnsafeMutablePointer<Float>
  /// [tokens, hidden]: the result of attention.
  let context: UnsafeMutablePointer<Float>
  /// [tokens, hidden]: the result of a block before it is added to the hidden states.
  let projected: UnsafeMutablePointer<Float>
  /// [``rowsPerTile``, intermediate]: the activations between the two layers of the feed-forward block.
  let intermediate: UnsafeMutablePointer<Float>
  /// The scratch memory of attention.
  let attention: UnsafeMutablePointer<Float>

  /// The number of rows that go through the feed-forward block together. 64 rows of 1,536 activations stay in the
  /// second-level cache.
  static let rowsPerTile = 64

  /// Allocates the buffers for a batch of `tokens` tokens.
  ///
  /// - Throws: ``EncodingFailure/outOfMemory``.
  package init(tokens: Int, _ sizes: Sizes) throws(EncodingFailure) {
    let rows = Linear.paddedRows(tokens)
    let states = rows * sizes.hidden
    let counts = [states, 3 * states, states, states, Self.rowsPerTile * sizes.intermediate, sizes.attention]
    var buffers: [UnsafeMutablePointer<Float>] = []
    for count in counts {
      guard let buffer = Self.zeros(count) else {
        for buffer in buffers { free(buffer) }
        throw .outOfMemory
      }
      buffers.append(buffer)
    }
    self.tokens = rows
    hidden = buffers[0]
    queryKeyValue = buffers[1]
    context = buffers[2]
    projected = buffers[3]
    intermediate = buffers[4]
    attention = buffers[5]
  }

  deinit {
    for buffer in [hidden, queryKeyValue, context, projected, intermediate, attention] { free(buffer) }
  }

  /// `count` zeros; nil when there is not enough memory. Padding rows, which products read, must be initialised.
  // SAFETY: calloc's memory is aligned for every type, and zero bytes are zero floats.
  private static func zeros(_ count: Int) -> UnsafeMutablePointer<Float>? {
    let size = MemoryLayout<Float>.stride
    return calloc(max(1, count), size)?.bindMemory(to: Float.self, capacity: max(1, count))
  }
}

/// Workspaces that are kept for later batches, as many as there ever were passes at the same time.
final class WorkspacePool: Sendable {
  private let idle = Mutex<[Workspace]>([])
  private let sizes: Workspace.Sizes

  /// Batches of up to this many tokens share workspaces. A larger batch gets its own, which is freed after it.
  private static let usualTokens = 1024

  init(_ sizes: Workspace.Sizes) {
    self.sizes = sizes
  }

  /// Calls `body` with a workspace for `tokens` tokens, which no other pass uses meanwhile.
  ///
  /// - Throws: ``EncodingFailure/outOfMemory``, and what `body` throws.
  func with<Result>(
    tokens: Int, _ body: (Workspace) throws(EncodingFailure) -> Result
  ) throws(EncodingFailure) -> Result {
    guard tokens <= Self.usualTokens else { return try body(try Workspace(tokens: tokens, sizes)) }
    let workspace: Workspace
    if let kept = idle.withLock({ $0.popLast() }) {
      workspace = kept
    } else {
      workspace = try Workspace(tokens: Self.usualTokens, sizes)
    }
    defer { idle.withLock { $0.append(workspace) } }
    return try body(workspace)
  }
}
