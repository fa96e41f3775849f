import Platform
import SimilarityCore
import TestSupport
import Testing

/// The masks of dropout: their generator, their distribution, and that they depend on indices alone.
@Suite struct DropoutTests {
  static func mask(
    _ kernels: Kernels, count: Int, from first: Int = 0, seed: UInt64 = 11, serial: UInt64 = 1 << 32 | 7,
    site: UInt32 = 2,
    probability: Float = 0.1
  ) -> [Float] {
    let ones = [Float](repeating: 1, count: count)
    var out = [Float](repeating: .nan, count: count)
    kernels.dropout(
      ones, count: count, from: first, seed: seed, serial: serial, site: site, probability: probability, into: &out)
    return out
  }

  /// The vectors that are published with the generator (Random123, kat_vectors).
  @Test(arguments: Kernels.runnable) func publishedVectors(_ kernels: Kernels) {
    let all = UInt32.max
    #expect(
      kernels.randomWords(counter: [0, 0, 0, 0], key: [0, 0]) == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
    #expect(
      kernels.randomWords(counter: [all, all, all, all], key: [all, all])
        == [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd])
    #expect(
      kernels.randomWords(
        counter: [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], key: [0xa409_3822, 0x299f_31d0])
        == [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1])
  }

  /// Masks are the words of the generator in their documented places, in every variant.
  @Test(arguments: Kernels.runnable) func masksAreTheGenerators(_ kernels: Kernels) {
    let found = Self.mask(kernels, count: 200, probability: 0.25)
    for (index, value) in found.enumerated() {
      let counter = UInt32(index / 64 * 16 + index % 16)
      let words = kernels.randomWords(counter: [counter, 2, 7, 1], key: [11, 0])
      #expect(value == (words[index % 64 / 16] >= 1 << 30 ? 1 / 0.75 : 0))
    }
    #expect(found == Self.mask(.active, count: 200, probability: 0.25))
  }

  @Test(arguments: Kernels.runnable) func theSameInAnyParts(_ kernels: Kernels) {
    let whole = Self.mask(kernels, count: 1000)
    for (first, count) in [(0, 1), (1, 63), (63, 2), (64, 64), (5, 200), (130, 17), (1, 999), (999, 1)] {
      #expect(Self.mask(kernels, count: count, from: first) == Array(whole[first..<first + count]))
    }
    #expect(Self.mask(kernels, count: 0) == [])
    // Indices beyond 2³² are other ones.
    let far = Self.mask(kernels, count: 200, from: 1 << 33 | 3)
    #expect(far == Array(Self.mask(kernels, count: 203, from: 1 << 33).dropFirst(3)))
    #expect(far != Array(whole[3..<203]))
  }

  /// Of n independent draws, the share that is dropped has the standard deviation √(p·(1 − p)/n).
  @Test(arguments: [Float(0.05), 0.1, 0.5, 0.9]) func meanAndVariance(_ probability: Float) {
    let count = 400_000
    let p = Double(probability)
    let mask = Self.mask(.active, count: count, probability: probability)
    let dropped = Double(mask.count { $0 == 0 }) / Double(count)
    #expect(abs(dropped - p) <= 4 * (p * (1 - p) / Double(count)).squareRoot())
    #expect(mask.allSatisfy { $0 == 0 || abs(Double($0) * (1 - p) - 1) <= 1e-6 })
    let mean = mask.reduce(0) { $0 + Double($1) } / Double(count)
    let variance = mask.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(count)
    #expect(abs(mean - 1) <= 4 * (p / (1 - p) / Double(count)).squareRoot())
    #expect(abs(variance / (p / (1 - p)) - 1) <= 0.02)
  }

  /// The correlation of independent masks of n values has the standard deviation 1/√n.
  @Test func otherArgumentsGiveIndependentMasks() {
    let count = 100_000
    let base = Self.mask(.active, count: count, probability: 0.5)
    let others = [
      Self.mask(.active, count: count, seed: 12, probability: 0.5),
      Self.mask(.active, count: count, seed: 11 | 1 << 32, probability: 0.5),
      Self.mask(.active, count: count, serial: 1 << 32 | 8, probability: 0.5),
      Self.mask(.active, count: count, serial: 2 << 32 | 7, probability: 0.5),
      Self.mask(.active, count: count, site: 3, probability: 0.5),
      Self.mask(.active, count: count, from: 1, probability: 0.5),
      Self.mask(.active, count: count, from: 16, probability: 0.5),
      Self.mask(.active, count: count, from: 64, probability: 0.5),
      Self.mask(.active, count: count, from: 1024, probability: 0.5),
    ]
    for other in others {
      let correlation = zip(base, other).reduce(0) { $0 + (Double($1.0) - 1) * (Double($1.1) - 1) } / Double(count)
      #expect(abs(correlation) <= 4.5 / Double(count).squareRoot())
    }
  }

  @Test(arguments: Kernels.runnable) func valuesAndEnds(_ kernels: Kernels) {
    var random = Seeded(8)
    let x = random.floats(150)
    var out = x
    out.withUnsafeMutableBufferPointer { both in
      guard let both = both.baseAddress else { return }
      kernels.dropout(
        both, count: 150, from: 9, seed: 11, serial: 1 << 32 | 7, site: 2, probability: 0.1, into: both)
    }
    let mask = Self.mask(kernels, count: 150, from: 9)
    #expect(out == zip(x, mask).map { $0 * $1 })
    #expect(Self.mask(kernels, count: 100, probability: 0).allSatisfy { $0 == 1 })
    #expect(Self.mask(kernels, count: 100, probability: -1).allSatisfy { $0 == 1 })
    #expect(Self.mask(kernels, count: 100, probability: 1).allSatisfy { $0 == 0 })
  }
}
