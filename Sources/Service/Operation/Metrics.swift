import HTTP1
import Synchronization

/// Counters of the service, in Prometheus' text format (version 0.0.4).
final class Metrics: Sendable {
  /// Upper bounds of the duration histogram, in seconds.
  private static let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

  private struct Key: Hashable {
    let route: String
    let method: String
    let status: Int

    init(route: String?, method: HTTPMethod?, status: Int) {
      self.route = route ?? "unmatched"
      self.method = Self.label(method)
      self.status = status
    }

    /// A client's own method names would make a label for each: unbounded.
    private static func label(_ method: HTTPMethod?) -> String {
      guard let method else { return "other" }
      if case .other = method { return "other" }
      return method.name
    }
  }

  private struct Histogram {
    var buckets = [Int](repeating: 0, count: Metrics.bounds.count)
    var count = 0
    var seconds = 0.0

    mutating func add(_ duration: Double) {
      count += 1
      seconds += duration
      if let bucket = Metrics.bounds.firstIndex(where: { duration <= $0 }) { buckets[bucket] += 1 }
    }
  }

  private struct State {
    var requests: [Key: Int] = [:]
    var durations: [String: Histogram] = [:]
    var inFlight = 0
    var batches = 0
    var sequences = 0
    var tokens = 0
    var encodeSeconds = 0.0
    var encodeFailures = 0
  }

  private let state = Mutex(State())

  func began() { state.withLock { $0.inFlight += 1 } }

  /// - Parameter route: the route's template; never the path itself, which clients choose.
  func ended(route: String?, method: HTTPMethod?, status: Int, nanoseconds: UInt64) {
    let key = Key(route: route, method: method, status: status)
    state.withLock { state in
      state.inFlight -= 1
      state.requests[key, default: 0] += 1
      state.durations[key.route, default: Histogram()].add(Double(nanoseconds) / 1e9)
    }
  }

  /// A request that was answered by its head alone, or could not be read. Its body was not waited for, so it has no duration.
  func refused(route: String?, method: HTTPMethod?, status: Int) {
    let key = Key(route: route, method: method, status: status)
    state.withLock { $0.requests[key, default: 0] += 1 }
  }

  func encoded(sequences: Int, tokens: Int, nanoseconds: UInt64, failed: Bool) {
    state.withLock { state in
      state.batches += 1
      state.sequences += sequences
      state.tokens += tokens
      state.encodeSeconds += Double(nanoseconds) / 1e9
      if failed { state.encodeFailures += 1 }
    }
  }

  /// Writes every counter of the service.
  func write(to text: inout MetricsText) {
    // A copy is rendered, so that nobody waits for the lock meanwhile.
    let state = self.state.withLock { $0 }
    text.family("nearfar_requests_in_flight", "gauge", "Requests being served.")
    text.sample("nearfar_requests_in_flight", [], Double(state.inFlight))
    text.family("nearfar_http_requests_total", "counter", "Answered requests.")
    let ordered = state.requests.sorted {
      ($0.key.route, $0.key.method, $0.key.status) < ($1.key.route, $1.key.method, $1.key.status)
    }
    for (key, count) in ordered {
      let labels = [("route", key.route), ("method", key.method), ("status", "\(key.status)")]
      text.sample("nearfar_http_requests_total", labels, Double(count))
    }
    text.family(
      "nearfar_http_request_duration_seconds", "histogram", "From the last byte of a request to its answer.")
    for (route, histogram) in state.durations.sorted(by: { $0.key < $1.key }) {
      text.histogram(
        "nearfar_http_request_duration_seconds", [("route", route)], bounds: Self.bounds,
        buckets: histogram.buckets, count: histogram.count, sum: histogram.seconds)
    }
    for (name, help, value) in [
      ("nearfar_encode_batches_total", "Batches that ran through the encoder.", Double(state.batches)),
      ("nearfar_encode_texts_total", "Texts that ran through the encoder.", Double(state.sequences)),
      ("nearfar_encode_tokens_total", "Tokens that ran through the encoder.", Double(state.tokens)),
      ("nearfar_encode_seconds_total", "Time in the encoder, summed over queues.", state.encodeSeconds),
      ("nearfar_encode_failures_total", "Batches that the encoder could not compute.", Double(state.encodeFailures)),
    ] {
      text.family(name, "counter", help)
      text.sample(name, [], value)
    }
  }
}

/// A page in Prometheus' text exposition format 0.0.4.
public struct MetricsText: Sendable {
  public private(set) var text = ""

  public init() {}

  /// Opens a family: what follows are its samples.
  public mutating func family(_ name: String, _ type: String, _ help: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
  }

  public mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
    text += name
    if !labels.isEmpty {
      text += "{" + labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",") + "}"
    }
    text += " \(Self.number(value))\n"
  }

  /// A histogram whose buckets are counted separately; the format wants them cumulative.
  mutating func histogram(
    _ name: String, _ labels: [(String, String)], bounds: [Double], buckets: [Int], count: Int, sum: Double
  ) {
    var below = 0
    for (bound, inBucket) in zip(bounds, buckets) {
      below += inBucket
      sample("\(name)_bucket", labels + [("le", Self.number(bound))], Double(below))
    }
    sample("\(name)_bucket", labels + [("le", "+Inf")], Double(count))
    sample("\(name)_sum", labels, sum)
    sample("\(name)_count", labels, Double(count))
  }

  /// Whole numbers without a fraction, as counters are usually shown.
  private static func number(_ value: Double) -> String {
    if let whole = Int(exactly: value) { return "\(whole)" }
    return "\(value)"
  }

  private static func escaped(_ text: String) -> String {
    var out = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": out += "\\\\"
      case "\"": out += "\\\""
      case "\n": out += "\\n"
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out
  }
}
