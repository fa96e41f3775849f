import SimilarityCore

/// Rows with the factors that turn raw dot products into similarities, so that no normalised copy is made.
struct ScaledRows {
  let matrix: Matrix
  /// 1/‖row‖ as f32 where rows are to be normalised, else nil.
  let inverseNorms: [Float]?

  /// Outside these norms a raw product of two rows could leave the range of f32.
  private static let safe = 0x1p-40...0x1p40

  /// - Throws: ``ContrastiveError`` naming `field` and the row when a row that must be normalised is zero.
  init(_ matrix: Matrix, normalize: Bool, field: String, kernels: Kernels) throws(ContrastiveError) {
    guard normalize else {
      self.matrix = matrix
      inverseNorms = nil
      return
    }
    var conditioned = matrix
    var inverse: [Float] = []
    inverse.reserveCapacity(matrix.rows)
    for (row, norm) in matrix.norms(kernels: kernels).enumerated() {
      guard norm > 0 else {
        throw ContrastiveError(field: field, row: row, reason: "a row of zeros cannot be normalised")
      }
      if Self.safe.contains(norm) {
        inverse.append(Float(1 / norm))
      } else {
        conditioned.scaleRow(row, by: 1 / norm)
        inverse.append(1)
      }
    }
    self.matrix = conditioned
    inverseNorms = inverse
  }

  func scale(_ row: Int) -> Float { inverseNorms?[row] ?? 1 }
}
