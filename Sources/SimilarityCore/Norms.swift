extension Matrix {
  /// The Euclidean norm of each row, summed in f64.
  public func norms(kernels: Kernels = .active) -> [Double] {
    values.withUnsafeBufferPointer { all in
      (0..<rows).map { index in
        let row = UnsafeBufferPointer(rebasing: all[index * columns..<(index + 1) * columns])
        return kernels.dot(row, row).squareRoot()
      }
    }
  }

  /// The rows divided by their Euclidean norms.
  ///
  /// - Throws: ``ZeroRow`` for the first row whose norm is 0.
  public func normalized(kernels: Kernels = .active) throws(ZeroRow) -> Matrix {
    var result = self
    for (index, norm) in norms(kernels: kernels).enumerated() {
      guard norm > 0 else { throw ZeroRow(row: index) }
      result.scaleRow(index, by: 1 / norm)
    }
    return result
  }

  /// The rows divided by their Euclidean norms, which are summed in f64 in the order of the values. A row of zeros stays as it is.
  package func unitRows() -> Matrix {
    var result = self
    for index in 0..<rows {
      let square = row(index).reduce(0.0) { $0 + Double($1) * Double($1) }
      if square > 0 { result.scaleRow(index, by: 1 / square.squareRoot()) }
    }
    return result
  }
}

extension Kernels {
  /// The cosine of two vectors of equal length, in [−1, 1]; NaN when one of them is all zeros.
  ///
  /// It is exactly 1 for vectors of equal values, and −1 for vectors that differ only in sign. In both cases all three
  /// sums are the same number s apart from the sign, √(s·s) rounds to s (Boldo 2015, "Stupid is as stupid does: taking
  /// the square root of the square of a floating-point number"), and s / s is 1. Squares of f32 values neither overflow
  /// nor underflow in f64, and nor do the products of two such sums. For other vectors rounding may lead slightly
  /// beyond ±1, which is cut off.
  /// - Parameter squares: ‖a‖² and ‖b‖², as ``dot(_:_:)`` gives them.
  public func cosine(
    _ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>, squares: (Double, Double)
  ) -> Double {
    let cosine = dot(a, b) / (squares.0 * squares.1).squareRoot()
    // This form keeps NaN.
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine
  }
}

/// A row is all zeros where a direction is needed.
public struct ZeroRow: Error, Sendable, Equatable {
  /// The index of the row.
  public let row: Int

  public init(row: Int) {
    self.row = row
  }
}
