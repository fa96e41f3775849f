import Encoder
import Platform
import SimilarityCore

/// Random first values of parameters, a function of the seed alone.
struct InitialValues {
  private var generator: SplitMix64

  /// - Parameter part: which parameters they are for, so that no two get the same values.
  init(seed: UInt64, part: UInt64) {
    var first = SplitMix64(state: seed)
    generator = SplitMix64(state: first.next() ^ part &* 0xd134_2543_de82_ef95)
  }

  /// In [0, 1), a multiple of 2⁻⁵³.
  private mutating func fraction() -> Double { Double(generator.next() >> 11) * 0x1p-53 }

  /// Fills with values between −bound and bound.
  mutating func fillUniformly(_ values: UnsafeMutableBufferPointer<Float>, bound: Double) {
    for index in values.indices { values[index] = Float((2 * fraction() - 1) * bound) }
  }

  /// Fills with values of a normal distribution around 0 (Box & Muller 1958).
  mutating func fillNormally(_ values: UnsafeMutableBufferPointer<Float>, deviation: Double) {
    for index in values.indices {
      let radius = (-2 * log(1 - fraction())).squareRoot()
      values[index] = Float(deviation * radius * cos(2 * .pi * fraction()))
    }
  }
}

extension TrainedArray {
  /// The values of one tensor.
  func values(_ entry: ParameterLayout.Entry) -> UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(rebasing: values.values[entry.range])
  }
}
