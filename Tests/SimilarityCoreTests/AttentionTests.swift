import Platform
import SimilarityCore
import TestSupport
import Testing

/// Compares softmax(Q·Kᵀ·scale)·V, head by head, with the same formula in f64.
@Suite struct AttentionTests {
  struct Shape: Sendable, CustomTestStringConvertible {
    let length: Int
    let heads: Int
    let headWidth: Int
    var keyHeads: Int?
    var before: Int?
    var after: Int?
    var hasBias = false

    var testDescription: String {
      "\(length) tokens, \(heads) heads of \(headWidth), \(keyHeads ?? heads) of keys, \(before ?? length) before and "
        + "\(after ?? length) after, bias: \(hasBias)"
    }

    var keyWidth: Int { (keyHeads ?? heads) * headWidth }
    var stride: Int { heads * headWidth + 2 * keyWidth }

    /// The bias of a head and a distance, as large as scores are.
    static func bias(_ head: Int, _ distance: Int) -> Float { Float((head * 31 + distance * 7) % 13) / 4 }
  }

  static let shapes =
    [1, 2, 3, 4, 5, 12, 13, 16, 17, 31, 32, 33, 64, 100, 512, 513, 1100].map {
      Shape(length: $0, heads: 2, headWidth: 32)
    }
    + [
      Shape(length: 9, heads: 3, headWidth: 20), Shape(length: 40, heads: 1, headWidth: 7),
      Shape(length: 21, heads: 2, headWidth: 64), Shape(length: 6, heads: 4, headWidth: 1),
    ]
    // Keys that heads share, causal attention, windows that are narrow, one-sided, or wider than a piece of keys.
    + [1, 5, 17, 64, 513, 1100].flatMap { length in
      [
        Shape(length: length, heads: 4, headWidth: 16, keyHeads: 2),
        Shape(length: length, heads: 2, headWidth: 8, after: 0),
        Shape(length: length, heads: 2, headWidth: 8, before: 3, after: 3),
        Shape(length: length, heads: 1, headWidth: 8, before: 0, after: 0),
        Shape(length: length, heads: 2, headWidth: 8, keyHeads: 1, before: 20, after: 0, hasBias: true),
        Shape(length: length, heads: 1, headWidth: 8, before: 600, after: 2),
        Shape(length: length, heads: 2, headWidth: 8, hasBias: true),
      ]
    }

  @Test(arguments: Kernels.runnable, shapes) func matchesTheFormula(_ kernels: Kernels, _ shape: Shape) {
    var random = Seeded(UInt64(shape.length * 131 + shape.headWidth))
    let width = shape.heads * shape.headWidth
    // The scores are large, so that the softmax is far from uniform.
    let qkv = random.floats(shape.length * shape.stride).map { $0 * 3 }
    let scale = 1 / Float(shape.headWidth).squareRoot()
    let found = Self.attend(qkv, shape, scale, kernels)
    for head in 0..<shape.heads {
      for row in 0..<shape.length {
        let expected = Self.reference(qkv, shape, Double(scale), head: head, row: row)
        for column in 0..<shape.headWidth {
          let value = found[row * width + head * shape.headWidth + column]
          #expect(abs(Double(value) - expected[column]) <= 5e-6)
        }
      }
    }
  }

  /// With values that bf16 holds exactly, only the weights are rounded, by 2⁻⁹ of each.
  @Test(arguments: Kernels.runnable, shapes) func belowF32MatchesToTheRounding(_ kernels: Kernels, _ shape: Shape) {
    var random = Seeded(UInt64(shape.length * 131 + shape.headWidth))
    let width = shape.heads * shape.headWidth
    let qkv = random.floats(shape.length * shape.stride).map { value in
      Float(bitPattern: (value * 3).bitPattern & 0xffff_0000)
    }
    let scale = 1 / Float(shape.headWidth).squareRoot()
    for precision in [Precision.bf16, .int8] {
      let found = Self.attend(qkv, shape, scale, kernels, precision)
      for head in 0..<shape.heads {
        for row in 0..<shape.length {
          let expected = Self.reference(qkv, shape, Double(scale), head: head, row: row)
          for column in 0..<shape.headWidth {
            let value = found[row * width + head * shape.headWidth + column]
            #expect(abs(Double(value) - expected[column]) <= 3.0 / 512 + 5e-6)
          }
        }
      }
    }
  }

  /// The weights themselves, each to the rounding of bf16 and the error of the exponential function. Where keys and values are unit
  /// vectors, the scores are the query's values and the result has the weights.
  @Test(arguments: Kernels.runnable) func weightsBelowF32AreExactToTheirRounding(_ kernels: Kernels) {
    let (width, scale) = (32, Float(0.5))
    var random = Seeded(17)
    var qkv: [Float] = []
    for token in 0..<width {
      // From weights that are nearly equal to those below the smallest numbers.
      let range = exp2(Float(token) / 4)
      qkv += random.floats(width).map { Float(bitPattern: ($0 * range).bitPattern & 0xffff_0000) }
      for _ in 0..<2 { qkv += (0..<width).map { $0 == token ? 1 : 0 } }
    }
    let shape = Shape(length: width, heads: 1, headWidth: width)
    let found = Self.attend(qkv, shape, scale, kernels, .bf16)
    for row in 0..<width {
      let scores = qkv[row * 3 * width..<row * 3 * width + width].map { Double($0) * Double(scale) }
      let top = scores.max() ?? 0
      let powers = scores.map { exp($0 - top) }
      let total = powers.reduce(0, +)
      for (column, power) in powers.enumerated() {
        let value = Double(found[row * width + column])
        // Beyond the smallest normal number of f32 a weight may be 0.
        #expect(abs(value - power / total) <= power / total * (1.0 / 256 + 3e-4) + 2e-38)
      }
    }
  }

  /// The result of a sequence has the same bytes whatever surrounds it in memory.
  @Test(arguments: Kernels.runnable, Precision.allCases)
  func ignoresItsSurroundings(_ kernels: Kernels, _ precision: Precision) {
    var random = Seeded(99)
    for length in [1, 15, 16, 19, 33] {
      let shape = Shape(length: length, heads: 2, headWidth: 32)
      let qkv = random.floats(shape.length * 192)
      let alone = Self.attend(qkv, shape, 0.2, kernels, precision)
      let surrounded = [Float](repeating: .nan, count: 192) + qkv + [Float](repeating: .nan, count: 192)
      let again = Self.attend(surrounded, from: 192, shape, 0.2, kernels, precision)
      #expect(alone.map(\.bitPattern) == again.map(\.bitPattern))
      let isFinite = alone.allSatisfy { $0.isFinite }
      #expect(isFinite)
    }
  }

  private static func attend(
    _ qkv: [Float], from start: Int = 0, _ shape: Shape, _ scale: Float, _ kernels: Kernels,
    _ precision: Precision = .f32
  ) -> [Float] {
    var out = [Float](repeating: .nan, count: shape.length * shape.heads * shape.headWidth)
    var scratch = [Float](
      repeating: .nan, count: Attention.scratch(length: shape.length, headWidth: shape.headWidth))
    let bias = Attention.RelativeBias(heads: shape.heads, longest: shape.length + 3, scale: scale, Shape.bias)
    let attention = Attention(
      heads: shape.heads, keyHeads: shape.keyHeads, headWidth: shape.headWidth, scale: scale, before: shape.before,
      after: shape.after, bias: shape.hasBias ? bias : nil, precision: precision)
    qkv.withUnsafeBufferPointer { all in
      guard let first = all.baseAddress else { return }
      attention.apply(first + start, length: shape.length, kernels, scratch: &scratch, into: &out)
    }
    return out
  }

  private static func reference(
    _ qkv: [Float], _ shape: Shape, _ scale: Double, head: Int, row: Int
  ) -> [Double] {
    let width = shape.heads * shape.headWidth
    let shared = head / (shape.heads / (shape.keyHeads ?? shape.heads))
    func query(_ column: Int) -> Double { Double(qkv[row * shape.stride + head * shape.headWidth + column]) }
    func value(_ token: Int, _ part: Int, _ column: Int) -> Double {
      let start = token * shape.stride + width + part * shape.keyWidth
      return Double(qkv[start + shared * shape.headWidth + column])
    }
    let scores = (0..<shape.length).map { key -> Double in
      guard row - key <= shape.before ?? .max, key - row <= shape.after ?? .max else { return -.infinity }
      let product = (0..<shape.headWidth).reduce(0) { $0 + query($1) * value(key, 0, $1) } * scale
      return product + (shape.hasBias ? Double(Shape.bias(head, key - row)) : 0)
    }
    let top = scores.max() ?? 0
    let weights = scores.map { exp($0 - top) }
    let total = weights.reduce(0, +)
    return (0..<shape.headWidth).map { column in
      (0..<shape.length).reduce(0) { $0 + weights[$1] / total * value($1, 1, column) }
    }
  }
}
