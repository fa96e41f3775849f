import Encoder
import SimilarityCore

/// MoCo's dictionary (He et al. 2020, arXiv 1911.05722, section 3.2): the latest keys of earlier batches, first in, first out,
/// in one array that checkpoints hold. `Contrastive.NegativeQueue` is the same queue for a service that keeps many.
final class KeyQueue {
  /// The rows, as a ring, and behind them the number of rows held and where the next one goes, as whole numbers of f32.
  let array: FloatArray
  let capacity: Int
  private let dimension: Int

  /// The largest capacity: f32 has every whole number up to 2²⁴.
  static let largest = 1 << 24

  /// An empty queue.
  ///
  /// - Throws: ``EncodingFailure/outOfMemory``.
  init(capacity: Int, dimension: Int) throws(EncodingFailure) {
    precondition((1...Self.largest).contains(capacity) && dimension > 0, "a queue of \(capacity) rows")
    array = try FloatArray(capacity * dimension + 2)
    self.capacity = capacity
    self.dimension = dimension
  }

  /// A number that a checkpoint may have brought, within its range.
  private func number(_ place: Int, below limit: Int) -> Int {
    max(0, min(limit - 1, Int(exactly: array.values[capacity * dimension + place].rounded()) ?? 0))
  }

  /// Rows held.
  var count: Int { number(0, below: capacity + 1) }

  /// The rows held, oldest first, [count, dimension].
  var rows: Matrix {
    let (count, next) = (count, number(1, below: capacity))
    let oldest = count < capacity ? 0 : next
    return Matrix(rows: count, columns: dimension) { out in
      for index in 0..<count {
        let row = (oldest + index) % capacity
        for column in 0..<dimension { out[index * dimension + column] = array.start[row * dimension + column] }
      }
    }
  }

  /// Appends rows; of more than ``capacity`` the last ones stay.
  func append(_ rows: Matrix) {
    precondition(rows.columns == dimension, "rows of \(rows.columns) values for a queue of \(dimension)")
    var (count, next) = (count, number(1, below: capacity))
    for index in max(0, rows.rows - capacity)..<rows.rows {
      for (column, value) in rows.row(index).enumerated() { array.start[next * dimension + column] = value }
      next = (next + 1) % capacity
      count = min(capacity, count + 1)
    }
    array.values[capacity * dimension] = Float(count)
    array.values[capacity * dimension + 1] = Float(next)
  }
}
