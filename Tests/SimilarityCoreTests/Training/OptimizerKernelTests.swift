import Platform
import SimilarityCore
import TestSupport
import Testing

/// The steps of optimisers against plain loops.
@Suite struct OptimizerKernelTests {
  /// Every operation in f32 and in PyTorch's order gives the same bits in every variant.
  @Test(arguments: Kernels.runnable) func adamWIsExact(_ kernels: Kernels) {
    var random = Seeded(2)
    let (rate, beta1, beta2, epsilon, decay) = (0.003, 0.9, 0.999, 1e-8, 0.01)
    for count in [1, 5, 16, 37, 100] {
      var values = random.floats(count)
      var first = [Float](repeating: 0, count: count)
      var second = first
      var (expected, m, v) = (values, first, second)
      for step in 1...20 {
        let gradients = random.floats(count).map { $0 * Float(step) }
        let scale: Float = step % 3 == 0 ? 0.37 : 1
        let (correction1, correction2) = (1 - pow(beta1, Double(step)), 1 - pow(beta2, Double(step)))
        kernels.adamW(
          values: &values, gradients: gradients, first: &first, second: &second, count: count, rate: rate, beta1: beta1,
          beta2: beta2, epsilon: epsilon, decay: decay, correction1: correction1, correction2: correction2, scale: scale
        )
        for index in 0..<count {
          let g = gradients[index] * scale
          m[index] += Float(1 - beta1) * (g - m[index])
          v[index] = v[index] * Float(beta2) + Float(1 - beta2) * g * g
          let root = v[index].squareRoot() / Float(correction2.squareRoot()) + Float(epsilon)
          expected[index] = expected[index] * Float(1 - rate * decay) - Float(rate / correction1) * m[index] / root
        }
      }
      #expect(values == expected && first == m && second == v)
    }
  }

  /// 20 steps in f32 stay near those in f64.
  @Test func adamWMatchesTheFormula() {
    var random = Seeded(3)
    let count = 50
    var values = random.floats(count)
    var first = [Float](repeating: 0, count: count)
    var second = first
    var expected = values.map(Double.init)
    var m = [Double](repeating: 0, count: count)
    var v = m
    for step in 1...20 {
      let gradients = random.floats(count)
      let (correction1, correction2) = (1 - pow(0.9, Double(step)), 1 - pow(0.999, Double(step)))
      Kernels.active.adamW(
        values: &values, gradients: gradients, first: &first, second: &second, count: count, rate: 0.01, beta1: 0.9,
        beta2: 0.999, epsilon: 1e-8, decay: 0.1, correction1: correction1, correction2: correction2, scale: 1)
      for index in 0..<count {
        let g = Double(gradients[index])
        m[index] = 0.9 * m[index] + 0.1 * g
        v[index] = 0.999 * v[index] + 0.001 * g * g
        expected[index] -= 0.01 * 0.1 * expected[index]
        expected[index] -= 0.01 * (m[index] / correction1) / ((v[index] / correction2).squareRoot() + 1e-8)
      }
    }
    #expect(largestDifference(values[...], expected) <= 1e-6)
  }

  @Test(arguments: Kernels.runnable) func sums(_ kernels: Kernels) {
    var random = Seeded(4)
    for count in [0, 1, 3, 31, 64, 1000] {
      let x = random.floats(count)
      let y = random.floats(count)
      let squares = x.reduce(0) { $0 + Double($1) * Double($1) }
      #expect(abs(kernels.sumOfSquares(x, count: count) - squares) <= 1e-12 * max(1, squares))
      var target = y
      kernels.follow(target: &target, source: x, count: count, momentum: 0.99)
      let followed = zip(x, y).map { 0.99 * Double($1) + 0.01 * Double($0) }
      // The momentum is rounded to f32, which is half an ulp of 1 in the share of the source.
      #expect(largestDifference(target[...], followed) <= 2e-7)
      var added = y
      kernels.addScaled(x, scale: 0.3, count: count, to: &added)
      #expect(largestDifference(added[...], zip(x, y).map { Double($1) + 0.3 * Double($0) }) <= 2e-7)
    }
    // Squares of large values do not overflow.
    #expect(kernels.sumOfSquares([1e30, 1e30], count: 2) > 1.9e60)
  }

  /// One bad value anywhere is found.
  @Test(arguments: Kernels.runnable) func finiteness(_ kernels: Kernels) {
    for count in [1, 17, 5000] {
      var x = [Float](repeating: .greatestFiniteMagnitude, count: count)
      #expect(kernels.isFinite(x, count: count))
      for place in Set([0, count / 2, count - 1]) {
        for bad in [Float.infinity, -.infinity, .nan, .signalingNaN] {
          x[place] = bad
          #expect(!kernels.isFinite(x, count: count))
        }
        x[place] = -.leastNonzeroMagnitude
      }
    }
    #expect(kernels.isFinite([.nan], count: 0))
  }
}
