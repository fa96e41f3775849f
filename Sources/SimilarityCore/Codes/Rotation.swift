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
    var random = SplitMix64(state: 0x6E65_6172_6661_7221)
    signs = (0..<Self.rounds * max(0, dimension)).map { _ in random.next() & 1 == 0 ? 1 : -1 }
  }

  /// More than f32 arithmetic loses of a vector on its way into the rotated space, as a share of its length: every stage of a
  /// transform rounds each value once.
  var rounding: Double {
    var stages = 2
    while 1 << (stages - 1) <= dimension { stages += 1 }
    return Double(Self.rounds * stages) * 6e-8
  }
}
