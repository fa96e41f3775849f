import SimilarityCore

/// Rows with the factors that turn raw dot products into similarities, so that no normalised copy is made.
struct ScaledRows: Sendable {
  /// The rows as given; one whose norm is extreme is divided by it, since its raw products could leave the range of f32.
  let matrix: Matrix
  /// t with t·row of length 1; nil where rows are taken as they are.
  let factors: [Float]?
  /// t in f64.
  private let exactFactors: [Double]?
  /// (1/‖row as given‖) / t: 1 except for extreme rows.
  private let ratios: [Int: Double]

  private static let safe = 0x1p-40...0x1p40

  /// - Throws: ``ContrastiveError`` naming `field` and the row when a row that must be normalised is zero.
  init(_ matrix: Matrix, normalize: Bool, field: String, kernels: Kernels) throws(ContrastiveError) {
    guard normalize else {
      self.matrix = matrix
      factors = nil
      exactFactors = nil
      ratios = [:]
      return
    }
    var conditioned = matrix
    var exact: [Double] = []
    var ratios: [Int: Double] = [:]
    exact.reserveCapacity(matrix.rows)
    for (row, norm) in matrix.norms(kernels: kernels).enumerated() {
      guard norm > 0 else {
        throw ContrastiveError(field: field, row: row, reason: "a row of zeros cannot be normalised")
      }
      if Self.safe.contains(norm) {
        exact.append(1 / norm)
      } else {
        conditioned.scaleRow(row, by: 1 / norm)
        exact.append(1)
        ratios[row] = 1 / norm
      }
    }
    self.matrix = conditioned
    self.ratios = ratios
    exactFactors = exact
    factors = exact.map { Float($0) }
  }

  var count: Int { matrix.rows }

  func factor(_ row: Int) -> Float { factors?[row] ?? 1 }

  func exactFactor(_ row: Int) -> Double { exactFactors?[row] ?? 1 }

  /// Turns v = t·∂ℓ/∂x̂ of row `row` into the derivative with respect to the row as given:
  /// through x̂ = x/‖x‖ that is (v − (v·x̂)·x̂), times `scale`.
  ///
  /// - Returns: false when the result is not finite in f32.
  func pullBack(_ v: UnsafeMutableBufferPointer<Float>, row: Int, scale: Double) -> Bool {
    var isFinite = true
    matrix.withRow(row) { x in
      guard x.count == v.count else { return }
      let along =
        factors == nil ? 0 : Kernels.active.dot(UnsafeBufferPointer(v), x) * exactFactor(row) * exactFactor(row)
      let factor = scale * (ratios[row] ?? 1)
      for index in v.indices {
        v[index] = Float((Double(v[index]) - along * Double(x[index])) * factor)
        isFinite = isFinite && v[index].isFinite
      }
    }
    return isFinite
  }
}
