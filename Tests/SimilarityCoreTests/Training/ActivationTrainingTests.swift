import Platform
import SimilarityCore
import TestSupport
import Testing

/// Compares the derivatives of activation functions and gates with finite differences of the functions in f64.
@Suite struct ActivationTrainingTests {
  static let activations: [Activation] = [.identity, .gelu, .geluTanh, .relu, .silu]

  static func value(_ activation: Activation, _ x: Double) -> Double {
    switch activation {
    case .identity: x
    // erfc keeps the digits of small results.
    case .gelu: 0.5 * x * erfc(-x / 2.0.squareRoot())
    case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .relu: max(x, 0)
    case .silu: x / (1 + exp(-x))
    }
  }

  static func slope(_ activation: Activation, _ x: Double) -> Double {
    let step = 1e-5
    return (value(activation, x + step) - value(activation, x - step)) / (2 * step)
  }

  /// Values all over the range where functions bend, but for the bend of ReLU.
  static let values: [Float] = stride(from: Float(-12), through: 12, by: 0.0037).map { $0 + 0.0011 }

  /// erf has an error of 4e-7, exp one of 2 ulp; the slopes are at most 1.2.
  @Test(arguments: Kernels.runnable, activations) func matchesFiniteDifferences(
    _ kernels: Kernels, _ activation: Activation
  ) {
    var random = Seeded(3)
    let dy = random.floats(Self.values.count)
    var dx = dy
    dx.withUnsafeMutableBufferPointer { both in
      guard let both = both.baseAddress else { return }
      kernels.activateBackward(both, Self.values, count: Self.values.count, activation, into: both)
    }
    let expected = zip(Self.values, dy).map { Self.slope(activation, Double($0)) * Double($1) }
    #expect(largestDifference(dx[...], expected) <= 6e-7)
    var out = dy
    kernels.activateForward(Self.values, count: Self.values.count, activation, into: &out)
    let results = Self.values.map { Self.value(activation, Double($0)) }
    // Relative to |x|, which is up to 12.
    #expect(largestDifference(out[...], results) <= 12 * 4e-7)
  }

  /// The forward pass is that of the encoder, to the bit.
  @Test(arguments: Kernels.runnable, activations) func forwardIsTheEncoders(
    _ kernels: Kernels, _ activation: Activation
  ) {
    for count in [1, 3, 16, 17, 50] {
      let x = Array(Self.values.prefix(count))
      var (out, expected) = (x, x)
      kernels.activateForward(x, count: count, activation, into: &out)
      expected.withUnsafeMutableBufferPointer { kernels.activate($0, activation) }
      #expect(out == expected)
    }
  }

  @Test(arguments: Kernels.runnable, activations) func endsOfTheRange(_ kernels: Kernels, _ activation: Activation) {
    let x: [Float] = [-3e38, -1e30, -200, -89, 89, 200, 1e30, 3e38, 0, -0.0]
    let ones = [Float](repeating: 1, count: x.count)
    var dx = ones
    kernels.activateBackward(ones, x, count: x.count, activation, into: &dx)
    let negative: Double = activation == .identity ? 1 : 0
    #expect(largestDifference(dx.prefix(8), [negative, negative, negative, negative, 1, 1, 1, 1]) <= 4e-7)
    let atZero: Float =
      switch activation {
      case .identity: 1
      case .relu: 0
      default: 0.5
      }
    #expect(Array(dx.suffix(2)) == [atZero, atZero])
  }

  @Test(arguments: Kernels.runnable) func notANumberStays(_ kernels: Kernels) {
    for activation in [Activation.gelu, .geluTanh, .silu] {
      var dx: [Float] = [0, 0, 0]
      kernels.activateBackward([1, 1, 1], [1, .nan, 2], count: 3, activation, into: &dx)
      #expect(dx[1].isNaN && dx[0].isFinite && dx[2].isFinite)
    }
  }

  @Test(arguments: Kernels.runnable, activations) func gates(_ kernels: Kernels, _ activation: Activation) {
    var random = Seeded(4)
    for width in [1, 3, 16, 31, 70] {
      let rows = 3
      let x = random.floats(rows * 2 * width).map { $0 * 5 }
      let dy = random.floats(rows * width)
      var out = [Float](repeating: .nan, count: rows * width)
      var dx = [Float](repeating: .nan, count: x.count)
      kernels.gateForward(x, rows: rows, width: width, activation, into: &out)
      kernels.gateBackward(dy, x, rows: rows, width: width, activation, into: &dx)
      for row in 0..<rows {
        let first = row * 2 * width
        let a = x[first..<first + width].map(Double.init)
        let b = x[first + width..<first + 2 * width].map(Double.init)
        let d = dy[row * width..<(row + 1) * width].map(Double.init)
        // The values of a and b are up to 5.
        let results = (0..<width).map { Self.value(activation, a[$0]) * b[$0] }
        #expect(largestDifference(out[row * width..<(row + 1) * width], results) <= 25 * 5e-7)
        let byA = (0..<width).map { d[$0] * b[$0] * Self.slope(activation, a[$0]) }
        #expect(largestDifference(dx[first..<first + width], byA) <= 5 * 7e-7)
        let byB = (0..<width).map { d[$0] * Self.value(activation, a[$0]) }
        #expect(largestDifference(dx[first + width..<first + 2 * width], byB) <= 5 * 5e-7)
      }
    }
  }

  /// Sums of up to 100 values below 1 in f32.
  @Test(arguments: Kernels.runnable) func biases(_ kernels: Kernels) {
    var random = Seeded(6)
    for (rows, width) in [(1, 1), (7, 5), (8, 16), (100, 37), (17, 130)] {
      let x = random.floats(rows * width)
      let bias = random.floats(width)
      var sums = bias
      kernels.addColumnSums(x, rows: rows, width: width, to: &sums)
      let expected = (0..<width).map { column in
        (0..<rows).reduce(Double(bias[column])) { $0 + Double(x[$1 * width + column]) }
      }
      #expect(largestDifference(sums[...], expected) <= 5e-6)
      var shifted = x
      kernels.addBias(bias, rows: rows, width: width, to: &shifted)
      #expect(shifted == x.indices.map { x[$0] + bias[$0 % width] })
    }
  }
}
