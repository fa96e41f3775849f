import CKernels

/// A fixed rotation of vectors, which spreads what single dimensions hold over all of them before values are rounded to
/// bytes. It depends on the dimension alone: nothing is trained, nothing drifts.
///
/// Signs and Walsh–Hadamard transforms by turns (Ailon & Chazelle 2009, "The fast Johnson–Lindenstrauss transform").
public struct Rotation: Sendable {
  static let rounds = 4

  public let dimension: Int
  /// ±1, `rounds` · dimension of them.
  let signs: [Float]

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

  /// More than f32 arithmetic loses of a vector on its way through ``apply``, as a share of its length: every stage of a
  /// transform rounds each value once.
  var rounding: Double {
    var stages = 2
    while 1 << (stages - 1) <= dimension { stages += 1 }
    return Double(Self.rounds * stages) * 6e-8
  }
}
