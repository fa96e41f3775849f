/// A set of pairs of scalars.
struct ScalarPairs: Sendable {
  /// The pairs as numbers in a table with open addressing, at most half full; all bits are set where a place is free.
  private var pairs: [UInt64]
  private let shift: UInt64
  /// Whether pairs of ASCII characters are in the set, one bit each.
  private var ascii = [UInt64](repeating: 0, count: 256)

  /// A pair as a number.
  static func pair(_ first: UInt32, _ second: UInt32) -> UInt64 { UInt64(first) << 32 | UInt64(second) }

  init(_ set: Set<UInt64>) {
    var bits: UInt64 = 4
    while 1 << bits < set.count * 2 + 2 { bits += 1 }
    pairs = [UInt64](repeating: .max, count: 1 << bits)
    shift = 64 - bits
    for pair in set {
      var slot = slot(pair)
      while pairs[slot] != .max { slot = (slot + 1) & (pairs.count - 1) }
      pairs[slot] = pair
      let (first, second) = (pair >> 32, pair & 0xFFFF_FFFF)
      if first < 128 && second < 128 { ascii[Int(first << 1 | second >> 6)] |= 1 << (second & 63) }
    }
  }

  @inline(__always)
  private func slot(_ pair: UInt64) -> Int { Int(truncatingIfNeeded: (pair &* 0x9E37_79B9_7F4A_7C15) &>> shift) }

  @inline(__always)
  func contains(_ first: UInt32, _ second: UInt32) -> Bool {
    if first < 128 && second < 128 { return ascii[Int(first << 1 | second >> 6)] >> UInt64(second & 63) & 1 == 1 }
    let pair = Self.pair(first, second)
    var slot = slot(pair)
    while true {
      let found = pairs[slot]
      if found == pair { return true }
      if found == .max { return false }
      slot = (slot &+ 1) & (pairs.count &- 1)
    }
  }
}
