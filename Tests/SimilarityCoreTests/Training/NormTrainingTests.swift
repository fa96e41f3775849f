import Platform
import SimilarityCore
import TestSupport
import Testing

/// Compares norms and their backward passes with the formulas in f64, and the formulas with finite differences.
///
/// A sum of n terms in f32 is off by at most about log₂(n)·2⁻²⁴ of the sum of their sizes with vectors of partial sums; the
/// values here are of the size 1, and n is up to 400, so that 1e-5 leaves room for what follows the sums.
@Suite struct NormTrainingTests {
  struct Shape: Sendable, CustomTestStringConvertible {
    let width: Int
    let isCentred: Bool
    var hasResidual = true
    var testDescription: String { "\(isCentred ? "LayerNorm" : "RMSNorm") of \(width), residual: \(hasResidual)" }
  }

  static let shapes = [1, 2, 7, 15, 16, 17, 33, 64, 100, 384, 397].flatMap { width in
    [
      Shape(width: width, isCentred: true), Shape(width: width, isCentred: false),
      Shape(width: width, isCentred: true, hasResidual: false),
      Shape(width: width, isCentred: false, hasResidual: false),
    ]
  }
  static let rows = 5
  static let epsilon: Float = 0.01

  /// The norm of one row, with its derivatives by x and gamma for the loss Σ dy·norm(x).
  struct Reference {
    var out: [Double] = []
    var dx: [Double] = []
    var dgamma: [Double] = []

    init(_ x: [Double], _ gamma: [Double], _ beta: [Double], _ dy: [Double], isCentred: Bool) {
      let n = Double(x.count)
      let mean = isCentred ? x.reduce(0, +) / n : 0
      let inverse =
        1 / (x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n + Double(NormTrainingTests.epsilon)).squareRoot()
      let hats = x.map { ($0 - mean) * inverse }
      let g = zip(dy, gamma).map { $0 * $1 }
      let meanG = isCentred ? g.reduce(0, +) / n : 0
      let meanGX = zip(g, hats).reduce(0) { $0 + $1.0 * $1.1 } / n
      for (index, hat) in hats.enumerated() {
        out.append(hat * gamma[index] + beta[index])
        dx.append((g[index] - meanG - hat * meanGX) * inverse)
        dgamma.append(dy[index] * hat)
      }
    }
  }

  @Test(arguments: Kernels.runnable, shapes) func matchesTheFormulas(_ kernels: Kernels, _ shape: Shape) {
    var random = Seeded(UInt64(shape.width * 2 + (shape.isCentred ? 1 : 0)))
    let width = shape.width
    let count = Self.rows * width
    let (x, residual, dy) = (random.floats(count), random.floats(count), random.floats(count))
    let (gamma, beta) = (random.floats(width), random.floats(width))
    let earlier = random.floats(2 * width)
    var sum = [Float](repeating: .nan, count: count)
    var out = sum
    var statistics = [Float](repeating: .nan, count: Self.rows * (shape.isCentred ? 2 : 1))
    var dx = dy
    var dgamma = Array(earlier.prefix(width))
    var dbeta = Array(earlier.suffix(width))
    residual.withUnsafeBufferPointer { added in
      let added = shape.hasResidual ? added.baseAddress : nil
      if shape.isCentred {
        kernels.layerNormForward(
          x, residual: added, gamma: gamma, beta: beta, epsilon: Self.epsilon, rows: Self.rows, width: width, sum: &sum,
          statistics: &statistics, into: &out)
      } else {
        kernels.rmsNormForward(
          x, residual: added, gamma: gamma, epsilon: Self.epsilon, rows: Self.rows, width: width, sum: &sum,
          statistics: &statistics, into: &out)
      }
    }
    // In place: dx holds dy.
    dx.withUnsafeMutableBufferPointer { both in
      guard let both = both.baseAddress else { return }
      if shape.isCentred {
        kernels.layerNormBackward(
          both, sum, statistics: statistics, gamma: gamma, rows: Self.rows, width: width, dx: both, dgamma: &dgamma,
          dbeta: &dbeta)
      } else {
        kernels.rmsNormBackward(
          both, sum, statistics: statistics, gamma: gamma, rows: Self.rows, width: width, dx: both, dgamma: &dgamma)
      }
    }
    var expectedGamma = earlier.prefix(width).map(Double.init)
    var expectedBeta = earlier.suffix(width).map(Double.init)
    for row in 0..<Self.rows {
      let range = row * width..<(row + 1) * width
      let total = range.map { x[$0] + (shape.hasResidual ? residual[$0] : 0) }
      #expect(Array(sum[range]) == total)
      let expected = Reference(
        total.map(Double.init), gamma.map(Double.init), (shape.isCentred ? beta : beta.map { _ in 0 }).map(Double.init),
        dy[range].map(Double.init), isCentred: shape.isCentred)
      #expect(largestDifference(out[range], expected.out) <= 1e-5)
      // 1/σ, by which derivatives are multiplied, is up to 10.
      #expect(largestDifference(dx[range], expected.dx) <= 3e-5)
      for column in 0..<width {
        expectedGamma[column] += expected.dgamma[column]
        expectedBeta[column] += shape.isCentred ? Double(dy[range.lowerBound + column]) : 0
      }
    }
    #expect(largestDifference(dgamma[...], expectedGamma) <= 1e-5)
    #expect(largestDifference(dbeta[...], expectedBeta) <= 1e-5)
  }

  /// The formulas of the backward pass are the derivatives of those of the forward pass.
  @Test(arguments: [true, false]) func formulasMatchFiniteDifferences(isCentred: Bool) {
    var random = Seeded(5)
    let width = 9
    let x = random.floats(width).map(Double.init)
    let gamma = random.floats(width).map(Double.init)
    let beta = random.floats(width).map(Double.init)
    let dy = random.floats(width).map(Double.init)
    func loss(_ x: [Double], _ gamma: [Double]) -> Double {
      zip(Reference(x, gamma, beta, dy, isCentred: isCentred).out, dy).reduce(0) { $0 + $1.0 * $1.1 }
    }
    let found = Reference(x, gamma, beta, dy, isCentred: isCentred)
    let byX = finiteDifferences(x) { loss($0, gamma) }
    let byGamma = finiteDifferences(gamma) { loss(x, $0) }
    for index in 0..<width {
      #expect(abs(found.dx[index] - byX[index]) <= 1e-7)
      #expect(abs(found.dgamma[index] - byGamma[index]) <= 1e-7)
    }
  }

  @Test(arguments: Kernels.runnable) func aBiasMayBeMissing(_ kernels: Kernels) {
    let x: [Float] = [1, 2, 4]
    let zeros: [Float] = [0, 0, 0]
    let gamma: [Float] = [1, 2, 3]
    var sum = zeros
    var statistics: [Float] = [0, 0]
    var with = zeros
    var without = zeros
    kernels.layerNormForward(
      x, residual: nil, gamma: gamma, beta: zeros, epsilon: 1e-6, rows: 1, width: 3, sum: &sum, statistics: &statistics,
      into: &with)
    kernels.layerNormForward(
      x, residual: nil, gamma: gamma, beta: nil, epsilon: 1e-6, rows: 1, width: 3, sum: &sum, statistics: &statistics,
      into: &without)
    #expect(with == without && with != zeros)
  }
}
