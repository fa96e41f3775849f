import SimilarityCore
import Synchronization

/// The buffers of one forward pass, kept from batch to batch.
// SAFETY: a workspace is owned by one forward pass at a time: the pool hands it out and takes it back.
final class Workspace: @unchecked Sendable {
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

  init(tokens: Int, _ configuration: EncoderConfiguration) {
    self.tokens = Linear.paddedRows(tokens)
    let hiddenSize = configuration.hiddenSize
    hidden = Self.zeros(self.tokens * hiddenSize)
    queryKeyValue = Self.zeros(self.tokens * 3 * hiddenSize)
    context = Self.zeros(self.tokens * hiddenSize)
    projected = Self.zeros(self.tokens * hiddenSize)
    intermediate = Self.zeros(Self.rowsPerTile * configuration.intermediateSize)
    attention = Self.zeros(
      Kernels.attentionScratch(length: configuration.maxPositions, headWidth: configuration.headWidth))
  }

  deinit {
    for buffer in [hidden, queryKeyValue, context, projected, intermediate, attention] { buffer.deallocate() }
  }

  // SAFETY: initialised whole, so that padding rows that a product reads always hold numbers.
  private static func zeros(_ count: Int) -> UnsafeMutablePointer<Float> {
    let buffer = UnsafeMutablePointer<Float>.allocate(capacity: max(1, count))
    buffer.initialize(repeating: 0, count: max(1, count))
    return buffer
  }
}

/// Workspaces that wait for the next batch, one for each pass that ever ran at the same time.
final class WorkspacePool: Sendable {
  private let idle = Mutex<[Workspace]>([])
  private let configuration: EncoderConfiguration

  /// Batches up to this size share workspaces; a larger one gets its own, freed after it.
  private static let usualTokens = 1024

  init(_ configuration: EncoderConfiguration) {
    self.configuration = configuration
  }

  func with<Result>(
    tokens: Int, _ body: (Workspace) throws(EncodingFailure) -> Result
  ) throws(EncodingFailure) -> Result {
    guard tokens <= Self.usualTokens else { return try body(Workspace(tokens: tokens, configuration)) }
    let workspace = idle.withLock { $0.popLast() } ?? Workspace(tokens: Self.usualTokens, configuration)
    defer { idle.withLock { $0.append(workspace) } }
    return try body(workspace)
  }
}
