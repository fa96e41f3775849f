import Platform
import Synchronization

/// The buffers of one forward pass, kept from batch to batch.
// SAFETY: a workspace is owned by one forward pass at a time: the pool hands it out and takes it back.
package final class Workspace: @unchecked Sendable {
  /// What decides how large the buffers of a batch are.
  package struct Sizes: Sendable {
    let hidden: Int
    let intermediate: Int
    /// Floats that attention needs beside its input and output.
    let attention: Int

    package init(hidden: Int, intermediate: Int, attention: Int) {
      self.hidden = hidden
      self.intermediate = intermediate
      self.attention = attention
    }
  }

  /// Rows that the buffers hold.
  let tokens: Int
  let hidden: UnsafeMutablePointer<Float>
  let queryKeyValue: UnsafeMutablePointer<Float>
  let context: UnsafeMutablePointer<Float>
  let projected: UnsafeMutablePointer<Float>
  /// Activations between the two products of the feed-forward block, for one tile of rows.
  let intermediate: UnsafeMutablePointer<Float>
  let attention: UnsafeMutablePointer<Float>

  /// Rows that go through the feed-forward block together: 64 × 1,536 activations stay in the second-level cache.
  static let rowsPerTile = 64

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

  /// Zeros, so that padding rows that a product reads always hold numbers; nil when there is no memory.
  // SAFETY: calloc's memory is aligned for every type, and zero bytes are zero floats.
  private static func zeros(_ count: Int) -> UnsafeMutablePointer<Float>? {
    let size = MemoryLayout<Float>.stride
    return calloc(max(1, count), size)?.bindMemory(to: Float.self, capacity: max(1, count))
  }
}

/// Workspaces that are kept for the next batch: as many as passes ever ran at the same time.
final class WorkspacePool: Sendable {
  private let idle = Mutex<[Workspace]>([])
  private let sizes: Workspace.Sizes

  /// Batches up to this size share workspaces; a larger one gets its own, freed after it.
  private static let usualTokens = 1024

  init(_ sizes: Workspace.Sizes) {
    self.sizes = sizes
  }

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
