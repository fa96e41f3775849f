/// How fast something moves that the other side could stall: a body coming in, an answer going out.
struct Pace: Sendable {
  private var start: UInt64
  private var last: UInt64
  private var bytes: UInt64 = 0

  init(now: UInt64) {
    start = now
    last = now
  }

  mutating func moved(_ count: Int, now: UInt64) {
    last = now
    bytes = bytes &+ UInt64(max(0, count))
  }

  /// When patience ends: `pause` after the last byte, or when the average since the start, `pause` of grace included,
  /// falls below `rate` bytes per second. A trickle of single bytes passes the first test and fails the second.
  func deadline(pause: UInt64, rate: UInt64) -> UInt64 {
    guard rate > 0 else { return last.saturatingAdd(pause) }
    let (scaled, overflow) = bytes.multipliedReportingOverflow(by: 1_000_000_000)
    let average = start.saturatingAdd(pause).saturatingAdd(overflow ? .max : scaled / rate)
    return min(last.saturatingAdd(pause), average)
  }
}

extension UInt64 {
  func saturatingAdd(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
