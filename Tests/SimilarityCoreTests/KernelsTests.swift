import Platform
import SimilarityCore
import TestSupport
import Testing

/// Compares each variant with the same formula in plain f64.
@Suite struct KernelsTests {
  @Test func activeIsTheLastThatRuns() {
    #expect(Kernels.active.name == Kernels.runnable.last?.name)
    #expect(Kernels(named: "sse9") == nil)
  }

  @Test(arguments: Kernels.runnable) func bitsOfEveryLength(_ kernels: Kernels) {
    var random = Seeded(2)
    for count in 0...70 {
      let words = (0..<count).map { _ in random.next() & random.next() }
      let expected = words.reduce(0) { $0 + $1.nonzeroBitCount }
      #expect(words.withUnsafeBufferPointer { kernels.countOfBits($0) } == expected)
    }
  }

  @Test(arguments: Kernels.runnable) func dotOfEveryLength(_ kernels: Kernels) {
    var random = Seeded(1)
    for count in 0...130 {
      let a = random.floats(count)
      let b = random.floats(count)
      let expected = zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
      let found = a.withUnsafeBufferPointer { a in b.withUnsafeBufferPointer { kernels.dot(a, $0) } }
      #expect(abs(found - expected) <= 1e-13, "\(count) values")
    }
  }

  @Test(arguments: Kernels.runnable) func cosineIsExactlyOneForEqualVectors(_ kernels: Kernels) {
    var random = Seeded(6)
    func cosine(_ a: [Float], _ b: [Float]) -> Double {
      a.withUnsafeBufferPointer { a in
        b.withUnsafeBufferPointer { kernels.cosine(a, $0, squares: (kernels.dot(a, a), kernels.dot($0, $0))) }
      }
    }
    for count in [1, 2, 3, 7, 16, 31, 64, 100, 384, 1000] {
      for scale in [1, 1e-38, 1e-30, 1e-19, 3, 1e19, 3e38] as [Float] {
        for _ in 0..<20 {
          let vector = random.floats(count).map { $0 * scale }
          guard vector.contains(where: { $0 != 0 }) else { continue }
          let half = vector.map { 0.5 * $0 }
          #expect(cosine(vector, Array(vector)) == 1)
          #expect(cosine(vector, vector.map { -$0 }) == -1)
          if scale > 1e-19 { #expect(cosine(vector, half) == 1) }
          // For nearly parallel vectors, rounding must not lead out of the range.
          let near = vector.map { $0 * 0.99999994 }
          if near.contains(where: { $0 != 0 }) { #expect((-1...1).contains(cosine(vector, near))) }
          let other = random.floats(count)
          #expect(cosine(vector, other) == cosine(other, vector))
        }
      }
    }
    #expect(cosine([0, 0], [1, 0]).isNaN)
  }

  @Test(arguments: Kernels.runnable) func logSumExpInOnePieceAndInMany(_ kernels: Kernels) {
    var random = Seeded(3)
    for count in [1, 2, 15, 16, 17, 64, 333] {
      let products = random.floats(count)
      let factors = random.floats(count).map { abs($0) + 0.5 }
      let scale: Float = 40
      let logits = zip(products, factors).map { Double($0 * scale * $1) }
      let top = logits.max() ?? 0
      let expected = top + log(logits.reduce(0) { $0 + exp($1 - top) })
      for piece in [1, 5, 16, 40, count] {
        var sum = LogSumExp()
        for start in stride(from: 0, to: count, by: piece) {
          let columns = start..<min(start + piece, count)
          Array(products[columns]).withUnsafeBufferPointer {
            sum.extend(by: $0, scale: scale, columns: columns, of: factors, kernels)
          }
        }
        #expect(abs(sum.value - expected) <= 1e-5, "\(count) values in pieces of \(piece)")
      }
    }
  }

  @Test(arguments: Kernels.runnable) func logSumExpOfFarApartValues(_ kernels: Kernels) {
    var sum = LogSumExp()
    let products: [Float] = [-1e30, 0, 1e30] + [Float](repeating: -1e30, count: 40)
    products.withUnsafeBufferPointer { sum.extend(by: $0, scale: 1, columns: 0..<43, of: nil, kernels) }
    #expect(sum.value == Double(Float(1e30)))
    #expect(LogSumExp().value == -.infinity)
    #expect(LogSumExp(3).value == 3)
    var broken = LogSumExp()
    [Float.infinity, 1].withUnsafeBufferPointer {
      broken.extend(by: $0, scale: 1, columns: 0..<2, of: nil, kernels)
    }
    #expect(!broken.value.isFinite)
  }

  @Test(arguments: Kernels.runnable) func layerNormWithResidual(_ kernels: Kernels) {
    var random = Seeded(4)
    for width in [1, 3, 16, 33, 384] {
      let rows = 3
      let x = random.floats(rows * width).map { $0 + 10 }
      let residual = random.floats(rows * width)
      let gamma = random.floats(width)
      let beta = random.floats(width)
      var found = [Float](repeating: 0, count: rows * width)
      found.withUnsafeMutableBufferPointer { out in
        gamma.withUnsafeBufferPointer { g in
          beta.withUnsafeBufferPointer { b in
            guard let target = out.baseAddress else { return }
            kernels.layerNorm(
              x, residual: residual, gamma: g, beta: b, epsilon: 1e-12, rows: rows, into: target)
          }
        }
      }
      for row in 0..<rows {
        let sums = (0..<width).map { Double(x[row * width + $0]) + Double(residual[row * width + $0]) }
        let mean = sums.reduce(0, +) / Double(width)
        let variance = sums.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
        for column in 0..<width where width > 1 {
          let expected =
            (sums[column] - mean) / (variance + 1e-12).squareRoot() * Double(gamma[column]) + Double(beta[column])
          #expect(abs(Double(found[row * width + column]) - expected) <= 2e-5)
        }
      }
    }
  }

  @Test(arguments: Kernels.runnable) func meanAndMaximumOfRows(_ kernels: Kernels) throws {
    var random = Seeded(5)
    for (rows, width) in [(1, 1), (5, 7), (40, 384)] {
      let matrix = random.matrix(rows, width)
      var mean = [Float](repeating: 0, count: width)
      var maximum = mean
      mean.withUnsafeMutableBufferPointer { kernels.mean(matrix.values, rows: rows, into: $0) }
      maximum.withUnsafeMutableBufferPointer { kernels.maximum(matrix.values, rows: rows, into: $0) }
      for column in 0..<width {
        let values = (0..<rows).map { matrix.values[$0 * width + column] }
        #expect(maximum[column] == values.max())
        #expect(abs(mean[column] - values.reduce(0, +) / Float(rows)) <= 1e-6)
      }
    }
  }
}
