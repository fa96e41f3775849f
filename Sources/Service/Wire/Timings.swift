/// Where a request's time went, for the `Server-Timing` field (W3C Server Timing).
struct Timings: Sendable {
  enum Stage: String, Sendable {
    case queue, tokenize, encode, score, search, total
  }

  private var stages: [(stage: Stage, nanoseconds: UInt64)] = []

  /// Adds to a stage; stages keep the order of their first mention.
  mutating func add(_ stage: Stage, _ nanoseconds: UInt64) {
    if let index = stages.firstIndex(where: { $0.stage == stage }) {
      stages[index].nanoseconds &+= nanoseconds
    } else {
      stages.append((stage, nanoseconds))
    }
  }

  /// `queue;dur=0.021, total;dur=1.250`: milliseconds with three decimals.
  func field(total: UInt64) -> String {
    var text = ""
    for (stage, nanoseconds) in stages + [(.total, total)] {
      if !text.isEmpty { text += ", " }
      let microseconds = (nanoseconds &+ 500) / 1000
      let fraction = String(microseconds % 1000)
      text += "\(stage.rawValue);dur=\(microseconds / 1000)."
      text += String(repeating: "0", count: 3 - fraction.utf8.count) + fraction
    }
    return text
  }
}
