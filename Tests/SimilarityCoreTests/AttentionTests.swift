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
    var testDescription: String { "\(length) tokens, \(heads) heads of \(headWidth)" }
  }

  static let shapes =
    [1, 2, 3, 4, 5, 12, 13, 16, 17, 31, 32, 33, 64, 100, 512, 513, 1100].map {
      Shape(length: $0, heads: 2, headWidth: 32)
    }
    + [
      Shape(length: 9, heads: 3, headWidth: 20), Shape(length: 40, heads: 1, headWidth: 7),
      Shape(length: 21, heads: 2, headWidth: 64), Shape(length: 6, heads: 4, headWidth: 1),
    ]

  @Test(arguments: Kernels.runnable, shapes) func matchesTheFormula(_ kernels: Kernels, _ shape: Shape) {
    var random = Seeded(UInt64(shape.length * 131 + shape.headWidth))
    let width = shape.heads * shape.headWidth
    // The scores are large, so that the softmax is far from uniform.
    let qkv = random.floats(shape.length * 3 * width).map { $0 * 3 }
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

  /// The result of a sequence has the same bytes whatever surrounds it in memory.
  @Test(arguments: Kernels.runnable) func ignoresItsSurroundings(_ kernels: Kernels) {
    var random = Seeded(99)
    let shape = Shape(length: 19, heads: 2, headWidth: 32)
    let qkv = random.floats(shape.length * 192)
    let alone = Self.attend(qkv, shape, 0.2, kernels)
    let surrounded = [Float](repeating: .nan, count: 192) + qkv + [Float](repeating: .nan, count: 192)
    let again = surrounded.withUnsafeBufferPointer { all in
      Self.attend(Array(all[192..<192 + qkv.count]), shape, 0.2, kernels)
    }
    #expect(alone.map(\.bitPattern) == again.map(\.bitPattern))
  }

  private static func attend(_ qkv: [Float], _ shape: Shape, _ scale: Float, _ kernels: Kernels) -> [Float] {
    var out = [Float](repeating: .nan, count: shape.length * shape.heads * shape.headWidth)
    var scratch = [Float](
      repeating: .nan, count: Kernels.attentionScratch(length: shape.length, headWidth: shape.headWidth))
    kernels.attention(
      qkv, length: shape.length, heads: shape.heads, headWidth: shape.headWidth, scale: scale, scratch: &scratch,
      into: &out)
    return out
  }

  private static func reference(
    _ qkv: [Float], _ shape: Shape, _ scale: Double, head: Int, row: Int
  ) -> [Double] {
    let width = shape.heads * shape.headWidth
    func value(_ token: Int, _ part: Int, _ column: Int) -> Double {
      Double(qkv[token * 3 * width + part * width + head * shape.headWidth + column])
    }
    let scores = (0..<shape.length).map { key in
      (0..<shape.headWidth).reduce(0) { $0 + value(row, 0, $1) * value(key, 1, $1) } * scale
    }
    let top = scores.max() ?? 0
    let weights = scores.map { exp($0 - top) }
    let total = weights.reduce(0, +)
    return (0..<shape.headWidth).map { column in
      (0..<shape.length).reduce(0) { $0 + weights[$1] / total * value($1, 2, column) }
    }
  }
}
