/// A page in Prometheus' text exposition format 0.0.4.
///
/// A family's samples stand together, whoever writes them: opening a family again continues it.
public struct MetricsText: Sendable {
  private var families: [String] = []
  private var places: [String: Int] = [:]
  private var current = 0

  public init() {}

  public var text: String { families.joined() }

  /// Opens a family: what follows are its samples.
  public mutating func family(_ name: String, _ type: String, _ help: String) {
    if let place = places[name] {
      current = place
      return
    }
    current = families.count
    places[name] = current
    families.append("# HELP \(name) \(help)\n# TYPE \(name) \(type)\n")
  }

  public mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
    sample(name, Self.written(labels), value)
  }

  /// - Parameter labels: as ``written(_:)`` gives them.
  private mutating func sample(_ name: String, _ labels: String, _ value: Double) {
    precondition(!families.isEmpty, "a sample belongs to a family")
    families[current] += labels.isEmpty ? name : "\(name){\(labels)}"
    families[current] += " \(Self.number(value))\n"
  }

  /// The samples of a histogram. Its buckets are counted separately; the format wants them cumulative.
  mutating func histogram(_ name: String, _ labels: [(String, String)], _ histogram: Histogram) {
    let labels = Self.written(labels)
    let prefix = labels.isEmpty ? "" : "\(labels),"
    var below = 0
    for (bucket, count) in histogram.counts.enumerated() {
      below += count
      let bound = bucket < histogram.bounds.count ? Self.number(histogram.bounds[bucket]) : "+Inf"
      sample("\(name)_bucket", "\(prefix)le=\"\(bound)\"", Double(below))
    }
    sample("\(name)_sum", labels, histogram.sum)
    sample("\(name)_count", labels, Double(below))
  }

  /// Whole numbers without a fraction, as counters are usually shown.
  private static func number(_ value: Double) -> String {
    if let whole = Int(exactly: value) { return "\(whole)" }
    return "\(value)"
  }

  private static func written(_ labels: [(String, String)]) -> String {
    labels.map { "\($0)=\"\(escaped($1))\"" }.joined(separator: ",")
  }

  private static func escaped(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 == 0x5c || $0 == 0x22 || $0 == 0x0a }) else { return text }
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
