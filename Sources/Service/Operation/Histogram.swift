/// How many values were at most as large as each of some bounds, as Prometheus counts them.
struct Histogram: Sendable {
  let bounds: [Double]
  /// Values of each bucket alone; the last is for those beyond all bounds.
  private(set) var counts: [Int]
  private(set) var sum = 0.0

  /// - Parameter bounds: in increasing order.
  init(_ bounds: [Double]) {
    self.bounds = bounds
    counts = [Int](repeating: 0, count: bounds.count + 1)
  }

  mutating func add(_ value: Double) {
    var bucket = 0
    while bucket < bounds.count, value > bounds[bucket] { bucket += 1 }
    counts[bucket] &+= 1
    sum += value
  }

  /// Seconds, as OpenTelemetry's conventions for HTTP advise.
  static let durations = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
  /// Seconds that work waits. Less than the shortest is no wait, and more than the longest is mostly refused.
  static let waits = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
  /// Bytes of a body, from 1 KiB to 64 MiB by factors of 4.
  static let sizes = (5...13).map { Double(1 << (2 * $0)) }
}
