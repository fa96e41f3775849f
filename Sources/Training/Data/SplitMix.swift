/// A generator of 64-bit numbers that is fixed for all times (SplitMix64: Steele, Lea and Flood 2014, "Fast splittable
/// pseudorandom number generators"), so that a seed gives the same order with every version of the program.
struct SplitMix: Sendable {
  private var state: UInt64

  /// - Parameter stream: another number gives another sequence of the same seed.
  init(seed: UInt64, stream: UInt64) {
    state = Self.mixed(seed) ^ Self.mixed(stream &+ Self.step)
  }

  private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

  private static func mixed(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func next() -> UInt64 {
    state &+= Self.step
    return Self.mixed(state)
  }

  /// A number below `bound`, which is at least 1; all are equally likely.
  mutating func below(_ bound: Int) -> Int {
    let bound = UInt64(bound)
    // Numbers at the end that would make the first remainders more likely than the others are drawn again.
    let surplus = (UInt64.max % bound + 1) % bound
    while true {
      let drawn = next()
      if drawn <= UInt64.max - surplus { return Int(drawn % bound) }
    }
  }

  /// 0 ..< count in a random order (Fisher and Yates).
  mutating func permutation(_ count: Int) -> [Int32] {
    var order = (0..<count).map { Int32(truncatingIfNeeded: $0) }
    guard count > 1 else { return order }
    for last in stride(from: count - 1, to: 0, by: -1) { order.swapAt(last, below(last + 1)) }
    return order
  }
}
