/// A dense row-major matrix of f32.
public struct Matrix: Sendable, Equatable {
  public let rows: Int
  public let columns: Int
  /// The values, `rows · columns` of them, row after row.
  public private(set) var values: [Float]

  /// Creates a matrix of `values`; nil when there are not exactly `rows · columns` of them.
  public init?(rows: Int, columns: Int, values: [Float]) {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    guard rows >= 0, columns >= 0, !overflow, values.count == count else { return nil }
    self.init(rows: rows, columns: columns, of: values)
  }

  /// A matrix of values whose number is known to fit.
  package init(_ rows: Int, _ columns: Int, _ values: [Float]) {
    guard let matrix = Matrix(rows: rows, columns: columns, values: values) else {
      preconditionFailure("\(values.count) values are not \(rows) rows of \(columns)")
    }
    self = matrix
  }

  /// Creates a matrix whose values, zeros at first, are written in place by `fill`.
  public init(rows: Int, columns: Int, fill: (UnsafeMutableBufferPointer<Float>) throws -> Void) rethrows {
    precondition(rows >= 0 && columns >= 0, "a matrix of \(rows) × \(columns) values")
    self.init(rows: rows, columns: columns, of: [Float](repeating: 0, count: rows * columns))
    try values.withUnsafeMutableBufferPointer { try fill($0) }
  }

  private init(rows: Int, columns: Int, of values: [Float]) {
    self.rows = rows
    self.columns = columns
    self.values = values
  }

  /// Row `index` as a slice.
  public func row(_ index: Int) -> ArraySlice<Float> { values[range(of: index)] }

  /// Calls `body` with row `index`, without a copy.
  public func withRow<Result>(_ index: Int, _ body: (UnsafeBufferPointer<Float>) -> Result) -> Result {
    let range = range(of: index)
    return values.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[range])) }
  }

  /// Calls `body` with the address of the first value, without a copy; the matrix must have values.
  public func withBaseAddress<Result, Failure: Error>(
    _ body: (UnsafePointer<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try values.withUnsafeBufferPointer { all throws(Failure) in
      guard let first = all.baseAddress else { preconditionFailure("the matrix has no values") }
      return try body(first)
    }
  }

  /// The first `count` columns; the matrix itself when it has no more than that.
  public func prefix(columns count: Int) -> Matrix {
    precondition(count >= 0, "\(count) columns")
    guard count < columns else { return self }
    var kept: [Float] = []
    kept.reserveCapacity(rows * count)
    for index in 0..<rows { kept.append(contentsOf: row(index).prefix(count)) }
    return Matrix(rows: rows, columns: count, of: kept)
  }

  /// The rows at these indices, in this order; an index may occur more than once.
  public func rows(_ indices: [Int]) -> Matrix {
    var taken: [Float] = []
    taken.reserveCapacity(indices.count * columns)
    for index in indices { taken.append(contentsOf: row(index)) }
    return Matrix(rows: indices.count, columns: columns, of: taken)
  }

  /// Multiplies row `index` by `factor`, in f64, and rounds once.
  public mutating func scaleRow(_ index: Int, by factor: Double) {
    for position in range(of: index) { values[position] = Float(Double(values[position]) * factor) }
  }

  /// The positions of row `index` in ``values``.
  private func range(of index: Int) -> Range<Int> {
    precondition((0..<rows).contains(index), "there is no row \(index) among \(rows)")
    return index * columns..<(index + 1) * columns
  }
}

/// Uninitialised scratch memory for f32 values, which is freed with the object.
public final class FloatBuffer {
  public let count: Int
  /// The first of `count` values; valid while the buffer lives.
  public let start: UnsafeMutablePointer<Float>

  public init(_ count: Int) {
    precondition(count >= 0, "a buffer of \(count) values")
    self.count = count
    start = UnsafeMutablePointer<Float>.allocate(capacity: max(1, count))
  }

  deinit { start.deallocate() }

  /// A part of the buffer.
  // SAFETY: the range is checked against the buffer.
  public subscript(range: Range<Int>) -> UnsafeMutableBufferPointer<Float> {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= count, "\(range) lies outside a buffer of \(count) values")
    return UnsafeMutableBufferPointer(start: start + range.lowerBound, count: range.count)
  }
}
