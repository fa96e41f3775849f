import SimilarityCore

/// A generator with a fixed seed (SplitMix64), so that every run tests the same values.
public struct Seeded: RandomNumberGenerator {
  private var state: UInt64

  public init(_ seed: UInt64) {
    state = seed
  }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// `count` values between -1 and 1.
  public mutating func floats(_ count: Int) -> [Float] {
    (0..<count).map { _ in Float.random(in: -1...1, using: &self) }
  }

  /// `rows` rows of values between -1 and 1.
  public mutating func matrix(_ rows: Int, _ columns: Int) -> Matrix {
    let values = floats(rows * columns)
    return Matrix(rows: rows, columns: columns) { out in
      for index in out.indices { out[index] = values[index] }
    }
  }
}
