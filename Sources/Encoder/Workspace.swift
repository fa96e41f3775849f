import Platform
import SimilarityCore
import Synchronization

/// The buffers of one forward pass, which are reused from batch to batch.
// SAFETY: one forward pass at a time owns a workspace: the pool gives it out and takes it back.
package final class Workspace: @unchecked Sendable {
  /// The sizes that, beside the number of tokens, decide how large the buffers are.
  package struct Sizes: Sendable {
    var hidden: Int
    /// The queries, keys and values of a token.
    var queryKeyValue: Int
    /// The result of attention for a token.
    var context: Int
    /// What the first layer of a feed-forward block gives for a token.
    var inner: Int
    /// What its second layer takes; 0 where that is the same memory.
    var gated: Int
    /// The scratch memory of attention for one thread, in floats.
    var attention: Int
    /// The number of rows that go through a layer together.
    var rowsPerTile: Int
    /// The left side of a product, for one row of the widest layer, in bytes.
    var operand: Int
    /// The scratch memory of one row on the left side of a product, in floats.
    var operandRow: Int
    /// The threads that may share a pass; each has its own scratch memory.
    var workers: Int

    package init(
      hidden: Int, queryKeyValue: Int, context: Int, inner: Int, gated: Int, attention: Int,
      rowsPerTile: Int, operand: Int, operandRow: Int, workers: Int
    ) {
      self.hidden = hidden
      self.queryKeyValue = queryKeyValue
      self.context = context
      self.inner = inner
      self.gated = gated
      self.attention = attention
      self.rowsPerTile = rowsPerTile
      self.operand = operand
      self.operandRow = operandRow
      self.workers = workers
    }
  }

  /// The number of rows that the buffers hold.
  let tokens: Int
  /// [tokens, hidden]: the hidden states.
  var hidden: UnsafeMutablePointer<Float> { buffers[0].floats }
  /// [tokens, queryKeyValue]: queries, keys and values of each token.
  var queryKeyValue: UnsafeMutablePointer<Float> { buffers[1].floats }
  /// [tokens, context]: the result of attention.
  var context: UnsafeMutablePointer<Float> { buffers[2].floats }
  /// [``Sizes/rowsPerTile``, hidden]: the result of a block before it is added to the hidden states.
  var projected: UnsafeMutablePointer<Float> { buffers[3].floats }
  /// [``Sizes/rowsPerTile``, hidden]: the hidden states behind the norm before a block.
  var normed: UnsafeMutablePointer<Float> { buffers[4].floats }
  /// [``Sizes/rowsPerTile``, inner]: what the first layer of the feed-forward block gives.
  var inner: UnsafeMutablePointer<Float> { buffers[5].floats }
  /// [``Sizes/rowsPerTile``, gated]: the activations behind the gate.
  var gated: UnsafeMutablePointer<Float> { buffers[6].floats }
  /// Rows that have been rounded or quantised for a product.
  var operand: UnsafeMutableRawPointer { buffers[7].start }
  /// The scratch memory of a thread, for attention or for one row of the widest layer.
  func scratch(of worker: Int) -> UnsafeMutablePointer<Float> { scratch[worker].floats }
  private let buffers: [AlignedMemory]
  private let scratch: [AlignedMemory]

  /// Allocates the buffers for a batch of `tokens` tokens.
  ///
  /// - Throws: ``EncodingFailure/outOfMemory``.
  package init(tokens: Int, _ sizes: Sizes) throws(EncodingFailure) {
    let tile = sizes.rowsPerTile
    let floats = [
      tokens * sizes.hidden, tokens * sizes.queryKeyValue, tokens * sizes.context, tile * sizes.hidden,
      tile * sizes.hidden, tile * sizes.inner, tile * sizes.gated,
    ]
    var buffers: [AlignedMemory] = []
    var scratch: [AlignedMemory] = []
    do throws(OutOfMemory) {
      for count in floats { buffers.append(try AlignedMemory(bytes: 4 * count)) }
      buffers.append(try AlignedMemory(bytes: tile * sizes.operand))
      for _ in 0..<sizes.workers {
        scratch.append(try AlignedMemory(bytes: 4 * max(sizes.operandRow, sizes.attention)))
      }
    } catch {
      throw .outOfMemory
    }
    self.tokens = tokens
    self.buffers = buffers
    self.scratch = scratch
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
