/// A dense row-major matrix of f32.
public struct Matrix: Sendable, Equatable {
  public let rows: Int
  public let columns: Int
  /// `rows · columns` values, row after row.
  public private(set) var values: [Float]

  /// nil when `values` does not hold exactly `rows · columns` values.
  public init?(rows: Int, columns: Int, values: [Float]) {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    guard rows >= 0, columns >= 0, !overflow, values.count == count else { return nil }
    self.rows = rows
    self.columns = columns
    self.values = values
  }

  /// `rows` rows written in place by `fill`, which gets all values, zeroed.
  public init(rows: Int, columns: Int, fill: (UnsafeMutableBufferPointer<Float>) throws -> Void) rethrows {
    self.rows = max(0, rows)
    self.columns = max(0, columns)
    values = [Float](repeating: 0, count: self.rows * self.columns)
    try values.withUnsafeMutableBufferPointer { try fill($0) }
  }

  /// Row `index` as a slice; empty outside the matrix.
  public func row(_ index: Int) -> ArraySlice<Float> {
    guard index >= 0, index < rows else { return [] }
    return values[index * columns..<(index + 1) * columns]
  }

  /// Calls `body` with row `index`, without a copy.
  public func withRow<Result>(_ index: Int, _ body: (UnsafeBufferPointer<Float>) -> Result) -> Result {
    values.withUnsafeBufferPointer { all in
      guard index >= 0, index < rows else { return body(UnsafeBufferPointer(start: nil, count: 0)) }
      return body(UnsafeBufferPointer(rebasing: all[index * columns..<(index + 1) * columns]))
    }
  }

  /// The first `count` columns; self when there are no more than that.
  public func prefix(columns count: Int) -> Matrix {
    guard count < columns, count >= 0 else { return self }
    var kept: [Float] = []
    kept.reserveCapacity(rows * count)
    for index in 0..<rows { kept.append(contentsOf: row(index).prefix(count)) }
    return Matrix(rows: rows, columns: count, kept: kept)
  }

  /// Multiplies row `index` by `factor`, in f64, rounded once.
  public mutating func scaleRow(_ index: Int, by factor: Double) {
    guard index >= 0, index < rows else { return }
    for position in index * columns..<(index + 1) * columns {
      values[position] = Float(Double(values[position]) * factor)
    }
  }

  private init(rows: Int, columns: Int, kept: [Float]) {
    self.rows = rows
    self.columns = columns
    values = kept
  }
}
