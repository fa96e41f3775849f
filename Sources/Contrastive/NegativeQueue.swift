import SimilarityCore

/// MoCo's dictionary (He et al. 2020, arXiv 1911.05722, section 3.2): the latest keys of earlier batches, first in, first out.
public struct NegativeQueue: Sendable {
  /// Most rows that it holds.
  public let capacity: Int
  /// Values of a row.
  public let dimension: Int
  /// Rows that were ever appended.
  public private(set) var appended = 0
  private var values: [Float] = []
  /// Where the oldest row stands once the queue is full.
  private var oldest = 0

  public init(capacity: Int, dimension: Int) {
    self.capacity = max(1, capacity)
    self.dimension = max(1, dimension)
  }

  /// Rows held.
  public var count: Int { values.count / dimension }

  /// The filled part, oldest row first.
  public var rows: Matrix {
    let split = oldest * dimension
    return Matrix(rows: count, columns: dimension) { out in
      for index in out.indices {
        let source = index + split
        out[index] = values[source < values.count ? source : source - values.count]
      }
    }
  }

  /// Appends rows of ``dimension`` values; of more than ``capacity`` the last ones stay. Others are passed over.
  public mutating func append(_ matrix: Matrix) {
    guard matrix.columns == dimension else { return }
    appended += matrix.rows
    for row in max(0, matrix.rows - capacity)..<matrix.rows {
      if count < capacity {
        values += matrix.row(row)
      } else {
        values.replaceSubrange(oldest * dimension..<(oldest + 1) * dimension, with: matrix.row(row))
        oldest = (oldest + 1) % capacity
      }
    }
  }
}
