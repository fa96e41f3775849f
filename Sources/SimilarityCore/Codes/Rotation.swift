import CKernels

/// A fixed rotation of vectors, which spreads what single dimensions hold over all of them before values are rounded to
/// bytes. It depends on the dimension alone: nothing is trained, nothing drifts.
///
/// Signs and Walsh–Hadamard transforms by turns (Ailon & Chazelle 2009, "The fast Johnson–Lindenstrauss transform").
public struct Rotation: Sendable {
  private static let rounds = 4

  public let dimension: Int
  /// ±1, `rounds` · dimension of them.
  private let signs: [Float]

  public init(dimension: Int) {
    self.dimension = dimension
    // SplitMix64 from a fixed seed.
    var state: UInt64 = 0x6E65_6172_6661_7221
    signs = (0..<Self.rounds * max(0, dimension)).map { _ in
      state &+= 0x9E37_79B9_7F4A_7C15
      var bits = state
      bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
      bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
      return (bits ^ (bits >> 31)) & 1 == 0 ? 1 : -1
    }
  }

  /// Rotates `values`, of which there are ``dimension``.
  func apply(_ values: UnsafeMutableBufferPointer<Float>, _ kernels: Kernels) {
    guard let x = values.baseAddress, values.count == dimension else { return }
    signs.withUnsafeBufferPointer { signs in
      guard let s = signs.baseAddress else { return }
      kernels.table.pointee.code_rotate(x, dimension, s, Self.rounds)
    }
  }

  /// More than f32 arithmetic loses of a vector of length 1 on its way through ``apply``.
  static let rounding = 1e-5
}
