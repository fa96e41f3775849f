import SimilarityCore

/// The random orders of a training (``SplitMix64``): a seed gives the same order with every version of the program.
struct SplitMix: Sendable {
  private var generator: SplitMix64

  /// - Parameter stream: another number gives another sequence of the same seed.
  init(seed: UInt64, stream: UInt64) {
    generator = SplitMix64(state: SplitMix64.mixed(seed) ^ SplitMix64.mixed(stream &+ SplitMix64.step))
  }

  mutating func next() -> UInt64 { generator.next() }

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
