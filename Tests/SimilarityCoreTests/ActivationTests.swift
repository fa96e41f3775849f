import Platform
import SimilarityCore
import TestSupport
import Testing

/// Compares the activation functions with the C library's erf and tanh in f64.
@Suite struct ActivationTests {
  /// Values all over the range, close together where the functions bend, and the ends of f32.
  static let values: [Float] =
    stride(from: Float(-12), through: 12, by: 0.0007).map { $0 } + [
      -3e38, -1e30, -100, -88, -87, 87, 88, 100, 1e30, 3e38,
    ]
    + [0, -0.0, 1e-38, -1e-38, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, 1e-20, -1e-20]

  @Test(arguments: Kernels.runnable) func gelu(_ kernels: Kernels) {
    compare(kernels, .gelu, bound: 4e-7) { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) }
  }

  @Test(arguments: Kernels.runnable) func geluOfResultsThatAreRounded(_ kernels: Kernels) {
    for precision in [Precision.bf16, .int8] {
      compare(kernels, .gelu, precision, bound: 5e-5) { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) }
    }
  }

  @Test(arguments: Kernels.runnable) func geluByTanh(_ kernels: Kernels) {
    compare(kernels, .geluTanh, bound: 4e-7) {
      let u = (2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)
      return 0.5 * $0 * (1 + tanh(u))
    }
  }

  @Test(arguments: Kernels.runnable) func silu(_ kernels: Kernels) {
    compare(kernels, .silu, bound: 4e-7) { $0 / (1 + exp(-$0)) }
  }

  @Test(arguments: Kernels.runnable) func relu(_ kernels: Kernels) {
    compare(kernels, .relu, bound: 0) { max($0, 0) }
  }

  @Test(arguments: Kernels.runnable) func notANumberStays(_ kernels: Kernels) {
    for activation in [Activation.gelu, .geluTanh, .silu] {
      for precision in [Precision.f32, .bf16] {
        var values: [Float] = [1, .nan, 2]
        values.withUnsafeMutableBufferPointer { kernels.activate($0, activation, precision: precision) }
        #expect(values[1].isNaN && values[0].isFinite && values[2].isFinite)
      }
    }
  }

  /// - Parameter bound: of the error, relative to the larger of 1 and the size of the argument.
  private func compare(
    _ kernels: Kernels, _ activation: Activation, _ precision: Precision = .f32, bound: Double,
    _ formula: (Double) -> Double
  ) {
    var found = Self.values
    found.withUnsafeMutableBufferPointer { kernels.activate($0, activation, precision: precision) }
    var worst = 0.0
    for (x, y) in zip(Self.values, found) {
      let error = abs(Double(y) - formula(Double(x))) / max(1, abs(Double(x)))
      worst = error.isFinite ? max(worst, error) : .infinity
    }
    #expect(worst <= bound)
  }
}
