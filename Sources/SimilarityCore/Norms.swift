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
}

/// A row without a direction stood where one is needed.
public struct ZeroRow: Error, Sendable, Equatable {
  public let row: Int

  public init(row: Int) {
    self.row = row
  }
}
