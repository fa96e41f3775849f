import SimilarityCore

/// MoCo's dictionary (He et al. 2020, arXiv 1911.05722, section 3.2): the latest keys of earlier batches, first in, first out.
public struct NegativeQueue: Sendable {
  /// Most rows that it holds.
  public let capacity: Int
  /// Values of a row.
  public let dimension: Int
  /// Rows that were ever appended.
  public private(set) var appended = 0
  /// The rows held, as a ring once there are ``capacity``.
  private var values: [Float] = []
  /// Where the oldest row stands once the queue is full.
  private var oldest = 0

  public init(capacity: Int, dimension: Int) {
    self.capacity = max(1, capacity)
    self.dimension = max(1, dimension)
  }

  /// Rows held.
  public var count: Int { values.count / dimension }

  /// The filled part, oldest row first. Shares its storage with the queue where the ring begins at its start.
  public var rows: Matrix {
    let split = oldest * dimension
    let ordered = split == 0 ? values : Array(values[split...]) + values[..<split]
    return Matrix(rows: count, columns: dimension, values: ordered) ?? Matrix(rows: 0, columns: dimension) { _ in }
  }

  /// Appends rows of ``dimension`` values; of more than ``capacity`` the last ones stay. Rows of another width are passed
  /// over.
  public mutating func append(_ matrix: Matrix) {
    guard matrix.columns == dimension else { return }
    appended &+= matrix.rows
    var rest = matrix.values.suffix(min(matrix.rows, capacity) * dimension)
    let room = min(rest.count, (capacity - count) * dimension)
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
