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
