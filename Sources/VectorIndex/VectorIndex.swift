import SimilarityCore
import Synchronization

/// Vectors of one dimension under one metric, searched while they change.
///
/// Each vector has a slot, a number that is its own until the vector is removed; later vectors may get it again, but never
/// while a snapshot lives that still sees the old one. One caller writes at a time; any number read.
///
/// A few vectors are searched exactly; from ``IndexOptions/graphThreshold`` on there is a graph, except under the dot
/// product, where nearness is no distance and searches stay exact.
public final class VectorIndex: Sendable {
  public let dimension: Int
  public let metric: Metric
  private let current: Mutex<IndexSnapshot>
  private let writer: Mutex<IndexWriter>

  public init(dimension: Int, metric: Metric, options: IndexOptions = IndexOptions(), kernels: Kernels = .active) {
    self.dimension = dimension
    self.metric = metric
    let writer = IndexWriter(dimension: dimension, metric: metric, options: options, kernels: kernels)
    current = Mutex(writer.snapshot())
    self.writer = Mutex(writer)
  }

  /// The vectors as they stand; later writes do not touch it.
  public var snapshot: IndexSnapshot { current.withLock { $0 } }

  /// Removes the vectors at `removed` and adds `rows`, all at once: a snapshot has all of it or nothing.
  ///
  /// - Parameter rows: [n, dimension] finite values, row after row.
  /// - Returns: the slots of the added rows, in their order.
  /// - Throws: ``IndexError``; nothing has changed then.
  public func apply(removing removed: [Int], adding rows: [Float]) throws(IndexError) -> [Int] {
    try writer.withLock { writer throws(IndexError) in
      let slots = try writer.apply(removing: removed, adding: rows)
      publish(writer)
      if writer.settle() { publish(writer) }
      return slots
    }
  }

  private func publish(_ writer: borrowing IndexWriter) {
    let next = writer.snapshot()
    // The last one may be freed here: outside the lock, as that takes time.
    let previous = current.withLock { current in
      defer { current = next }
      return current
    }
    _ = previous
  }

  /// Whether the structure is whole: see ``GraphReport``.
  public func validate() -> GraphReport { writer.withLock { $0.validate() } }
}
