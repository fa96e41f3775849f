import SimilarityCore

/// MoCo's dictionary (He et al. 2020, arXiv 1911.05722, section 3.2): the latest keys of earlier batches, first in, first out.
public struct NegativeQueue: Sendable {
  /// The number of rows that it holds at most.
  public let capacity: Int
  /// Values of a row.
  public let dimension: Int
  /// Rows that were ever appended.
  public private(set) var appended = 0
  /// The rows held, as a ring once there are ``capacity``.
  private var values: [Float] = []
  /// Where the oldest row stands once the queue is full.
  private var oldest = 0

  /// - Parameters:
  ///   - capacity: at least 1, as `dimension` is.
  ///   - appended: rows that were appended before, and are not held any more.
  public init(capacity: Int, dimension: Int, appended: Int = 0) {
    precondition(capacity > 0 && dimension > 0, "a queue of \(capacity) rows of \(dimension) values")
    self.appended = appended
    self.capacity = capacity
    self.dimension = dimension
  }

  /// Rows held.
  public var count: Int { values.count / dimension }

  /// The rows held, oldest first, [count, dimension]. Shares its storage with the queue where the ring begins at its start.
  public var rows: Matrix {
    let split = oldest * dimension
    return Matrix(count, dimension, split == 0 ? values : Array(values[split...]) + values[..<split])
  }

  /// Appends rows of ``dimension`` values; of more than ``capacity`` the last ones stay.
  ///
  /// - Parameter count: the number of rows that these are the last ones of; nil where they are all.
  public mutating func append(_ matrix: Matrix, counting count: Int? = nil) {
    precondition(
      matrix.columns == dimension, "rows of \(matrix.columns) values for a queue of rows of \(dimension)")
    appended &+= count ?? matrix.rows
    var rest = matrix.values.suffix(min(matrix.rows, capacity) * dimension)
    let room = min(rest.count, (capacity - self.count) * dimension)
    values += rest.prefix(room)
    rest = rest.dropFirst(room)
    while !rest.isEmpty {
      let start = oldest * dimension
      let part = rest.prefix(min(rest.count, values.count - start))
      values.replaceSubrange(start..<start + part.count, with: part)
      oldest = (oldest + part.count / dimension) % capacity
      rest = rest.dropFirst(part.count)
    }
  }
}
