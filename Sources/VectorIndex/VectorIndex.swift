import SimilarityCore
import Synchronization

/// Vectors of one dimension under one metric, searched while they change.
///
/// Each vector has a slot, a number that is its own until the vector is removed; later vectors may get it again, but never
/// while a snapshot lives that still sees the old one. One caller writes at a time; any number read.
public final class VectorIndex: Sendable {
  public let dimension: Int
  public let metric: Metric
  private let state: Mutex<IndexSnapshot>

  public init(dimension: Int, metric: Metric) {
    self.dimension = dimension
    self.metric = metric
    state = Mutex(IndexSnapshot(dimension: dimension, metric: metric, rows: [], live: SlotSet()))
  }

  /// The vectors as they stand; later writes do not touch it.
  public var snapshot: IndexSnapshot { state.withLock { $0 } }

  /// Removes the vectors at `removed` and adds `rows`, all at once: a snapshot has all of it or nothing.
  ///
  /// - Parameter rows: [n, dimension] values, row after row.
  /// - Returns: the slots of the added rows, in their order.
  /// - Throws: ``IndexError``; nothing has changed then.
  public func apply(removing removed: [Int], adding rows: [Float]) throws(IndexError) -> [Int] {
    let old = snapshot
    let count = rows.count / dimension
    guard rows.count == count * dimension else {
      throw .dimension(row: count, expected: dimension, found: rows.count - count * dimension)
    }
    if metric == .cosine {
      for row in 0..<count where rows[row * dimension..<(row + 1) * dimension].allSatisfy({ $0 == 0 }) {
        throw .zeroVector(row: row)
      }
    }
    var live = old.live
    for slot in removed { live.remove(slot) }
    let slots = Array(old.rows.count / dimension..<old.rows.count / dimension + count)
    for slot in slots { live.insert(slot) }
    let new = IndexSnapshot(dimension: dimension, metric: metric, rows: old.rows + rows, live: live)
    state.withLock { $0 = new }
    return slots
  }
}
