import Platform
import SimilarityCore
import TestSupport
import Testing

/// Compares both passes of attention with plain loops in f64, and the loops' derivatives with finite differences.
@Suite struct AttentionTrainingTests {
  typealias Shape = AttentionReference.Shape

  static let shapes: [Shape] =
    [1, 2, 5, 12, 13, 16, 17, 31, 33, 64, 100, 512, 513, 1100].flatMap {
      [Shape($0, headWidth: 32), Shape($0, headWidth: 32, probability: 0.1)]
    }
    + [
      Shape(9, heads: 3, headWidth: 20), Shape(40, heads: 1, headWidth: 7, probability: 0.3), Shape(21, headWidth: 64),
      Shape(6, heads: 4, headWidth: 1), Shape(19, heads: 6, keyHeads: 1, headWidth: 48, probability: 0.1),
    ]
    // Keys that heads share, causal attention, windows that are narrow, one-sided, or wider than a piece of keys.
    + [1, 5, 17, 64, 513].flatMap { length in
      [
        Shape(length, heads: 4, keyHeads: 2, headWidth: 16, probability: 0.2),
        Shape(length, after: 0), Shape(length, before: 3, after: 3, probability: 0.5),
        Shape(length, heads: 1, before: 0, after: 0),
        Shape(length, keyHeads: 1, before: 20, after: 0, hasBias: true),
        Shape(length, heads: 1, before: 600, after: 2, probability: 0.1),
        Shape(length, hasBias: true, probability: 0.1),
      ]
    }
    + [
      Shape(1100, heads: 1, before: 600, after: 2, probability: 0.1), Shape(1100, hasBias: true, probability: 0.1),
    ]

  /// What both passes of the kernels give.
  struct Found {
    var out: [Float]
    var logSums: [Float]
    var dqkv: [Float]
    var dbias: [Float]

    init(
      _ kernels: Kernels, _ shape: Shape, _ qkv: [Float], _ dout: [Float], dropout: TrainingAttention.WeightDropout?,
      parts: [Range<Int>]? = nil, earlierBias: Float = 0
    ) {
      let biases = (0..<shape.heads).flatMap { head in
        (1 - shape.longest..<shape.longest).map { shape.bias(head, $0) / shape.scale }
      }
      let attention = TrainingAttention(
        heads: shape.heads, keyHeads: shape.keyHeads, headWidth: shape.headWidth, scale: shape.scale,
        before: shape.before, after: shape.after, bias: shape.hasBias ? biases : nil, dropout: dropout)
      var scratch = [Float](repeating: .nan, count: attention.scratch(length: shape.length))
      out = [Float](repeating: .nan, count: shape.length * shape.width)
      logSums = [Float](repeating: .nan, count: shape.heads * shape.length)
      dqkv = [Float](repeating: .nan, count: qkv.count)
      dbias = [Float](repeating: earlierBias, count: shape.heads * (2 * shape.length - 1))
      for part in parts ?? [0..<shape.keyHeads] {
        kernels.attentionForward(
          attention, qkv, length: shape.length, keyHeads: part, scratch: &scratch, into: &out, logSums: &logSums)
      }
      for part in parts ?? [0..<shape.keyHeads] {
        kernels.attentionBackward(
          attention, qkv, out: out, logSums: logSums, dout: dout, length: shape.length, keyHeads: part,
          scratch: &scratch, dqkv: &dqkv, dbias: &dbias)
      }
    }
  }

  static func dropout(_ shape: Shape) -> TrainingAttention.WeightDropout? {
    shape.probability > 0 ? .init(seed: 5, serial: 9 << 32 | 1, site: 4, probability: shape.probability) : nil
  }

  /// Scores are up to about 10, and a weight's relative error is that of its score and of the logarithm of the sum, some ulp
  /// of 10 in f32: 3e-6. Derivatives are sums of weights that add up to 1, times values of up to 3/(1 − p) and the products of
  /// dout and values, up to √headWidth in size, times scale and keys of up to 3; so errors stay below some 1e-5. The sums over
  /// queries and over the diagonals of the biases may have as many terms as there are tokens.
  @Test(arguments: Kernels.runnable, shapes) func matchesTheFormula(_ kernels: Kernels, _ shape: Shape) {
    var random = Seeded(UInt64(shape.length * 131 + shape.headWidth))
    let qkv = random.floats(shape.length * shape.stride).map { $0 * 3 }
    let dout = random.floats(shape.length * shape.width)
    let dropout = Self.dropout(shape)
    let found = Found(kernels, shape, qkv, dout, dropout: dropout, earlierBias: 0.5)
    let reference = AttentionReference(shape, factors: shape.factors(kernels, dropout))
    let expected = reference.evaluate(qkv.map(Double.init), dout.map(Double.init))
    let kept = 1 / (1 - Double(shape.probability))
    #expect(largestDifference(found.out[...], expected.out) <= 5e-6 * kept)
    #expect(largestDifference(found.logSums[...], expected.logSums) <= 4e-6)
    #expect(largestDifference(found.dqkv[...], expected.derivatives.qkv) <= 2e-5 * kept)
    let biases = expected.derivatives.bias.map { $0 + 0.5 }
    #expect(largestDifference(found.dbias[...], biases) <= 2e-5 * kept)
  }

  static let small = [
    Shape(1), Shape(4), Shape(7, heads: 4, keyHeads: 2, headWidth: 3, hasBias: true, probability: 0.3),
    Shape(6, headWidth: 5, before: 2, after: 0, hasBias: true, probability: 0.2),
  ]

  /// The derivatives of the loops are those of their results.
  @Test(arguments: small) func formulasMatchFiniteDifferences(_ shape: Shape) {
    var random = Seeded(17)
    let qkv = random.floats(shape.length * shape.stride).map { Double($0) * 2 }
    let dout = random.floats(shape.length * shape.width).map(Double.init)
    let reference = AttentionReference(shape, factors: shape.factors(.active, Self.dropout(shape)))
    func loss(_ reference: AttentionReference, _ qkv: [Double]) -> Double {
      zip(reference.evaluate(qkv, dout).out, dout).reduce(0) { $0 + $1.0 * $1.1 }
    }
    let found = reference.evaluate(qkv, dout).derivatives
    let byInputs = finiteDifferences(qkv) { loss(reference, $0) }
    let byBias = finiteDifferences(reference.bias) { bias in
      var shifted = reference
      shifted.bias = bias
      return loss(shifted, qkv)
    }
    for (value, expected) in zip(found.qkv + found.bias, byInputs + byBias) { #expect(abs(value - expected) <= 1e-7) }
  }

  /// The kernels' derivatives are those of the kernels' own results: with two signs of a direction, which f32 can tell apart.
  @Test(arguments: Kernels.runnable) func derivativesAreThoseOfTheForwardPass(_ kernels: Kernels) {
    let shape = Shape(23, heads: 4, keyHeads: 2, headWidth: 16, hasBias: true, probability: 0.2)
    var random = Seeded(23)
    let qkv = random.floats(shape.length * shape.stride)
    let dout = random.floats(shape.length * shape.width)
    let direction = random.floats(qkv.count)
    func loss(_ step: Float) -> Double {
      let moved = zip(qkv, direction).map { $0 + step * $1 }
      let found = Found(kernels, shape, moved, dout, dropout: Self.dropout(shape))
      return zip(found.out, dout).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    let found = Found(kernels, shape, qkv, dout, dropout: Self.dropout(shape))
    let expected = (loss(0.01) - loss(-0.01)) / Double(Float(0.01) + Float(0.01))
    let slope = zip(found.dqkv, direction).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    // The third derivative adds about 1e-4 of it.
    #expect(abs(slope - expected) <= 2e-3 * max(1, abs(expected)))
  }

  /// Without dropout, the results are those of the encoder, to the bit.
  @Test(arguments: Kernels.runnable) func forwardIsTheEncoders(_ kernels: Kernels) {
    var random = Seeded(31)
    for length in [1, 15, 33, 520] {
      let shape = Shape(length, heads: 2, headWidth: 16)
      let qkv = random.floats(length * shape.stride)
      let found = Found(kernels, shape, qkv, random.floats(length * shape.width), dropout: nil)
      var scratch = [Float](repeating: .nan, count: Attention.scratch(length: length, headWidth: 16))
      var expected = [Float](repeating: .nan, count: found.out.count)
      Attention(heads: 2, headWidth: 16, scale: shape.scale).apply(
        qkv, length: length, kernels, scratch: &scratch, into: &expected)
      #expect(found.out == expected)
    }
  }

  /// Heads that are computed apart have the bytes of all together, as threads take them.
  @Test(arguments: Kernels.runnable) func theSameInAnyParts(_ kernels: Kernels) {
    for length in [6, 40, 530] {
      let shape = Shape(length, heads: 6, keyHeads: 3, headWidth: 12, hasBias: true, probability: 0.2)
      var random = Seeded(41)
      let qkv = random.floats(length * shape.stride)
      let dout = random.floats(length * shape.width)
      let whole = Found(kernels, shape, qkv, dout, dropout: Self.dropout(shape))
      let apart = Found(kernels, shape, qkv, dout, dropout: Self.dropout(shape), parts: [2..<3, 0..<2])
      #expect(whole.out == apart.out && whole.logSums == apart.logSums)
      #expect(whole.dqkv == apart.dqkv && whole.dbias == apart.dbias)
    }
  }

  /// The longest sequences; a window keeps the reference short.
  @Test func longSequences() {
    let shape = Shape(8192, heads: 1, headWidth: 4, before: 40, after: 700)
    var random = Seeded(51)
    let qkv = random.floats(shape.length * shape.stride)
    let dout = random.floats(shape.length * shape.width)
    let found = Found(.active, shape, qkv, dout, dropout: nil)
    let reference = AttentionReference(shape, factors: [])
    let expected = reference.evaluate(qkv.map(Double.init), dout.map(Double.init))
    #expect(largestDifference(found.out[...], expected.out) <= 5e-6)
    #expect(largestDifference(found.dqkv[...], expected.derivatives.qkv) <= 2e-5)
  }

  /// Scores so far apart that exponentials vanish leave finite derivatives.
  @Test(arguments: Kernels.runnable) func largeScores(_ kernels: Kernels) {
    let shape = Shape(20, headWidth: 16, probability: 0.1)
    var random = Seeded(61)
    let qkv = random.floats(shape.length * shape.stride).map { $0 * 60 }
    let found = Found(
      kernels, shape, qkv, random.floats(shape.length * shape.width), dropout: Self.dropout(shape))
    #expect((found.out + found.dqkv + found.logSums).allSatisfy { $0.isFinite })
  }
}
