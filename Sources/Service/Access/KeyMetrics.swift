import Synchronization

/// What each API key is used for, by the names of keys, which clients cannot choose.
final class KeyMetrics: Sendable {
  private struct Counts {
    /// Answers with statuses of each class, `1xx` first.
    var requests = [Int](repeating: 0, count: 5)
    var tokens = 0
  }

  private let keys: APIKeys
  private let state = Mutex<[String: Counts]>([:])

  init(_ keys: APIKeys) { self.keys = keys }

  func answered(_ caller: Caller, status: Int) {
    guard let label = Self.label(caller), (100...599).contains(status) else { return }
    state.withLock { $0[label, default: Counts()].requests[status / 100 - 1] &+= 1 }
  }

  func encoded(_ caller: Caller, tokens: Int) {
    guard let label = Self.label(caller) else { return }
    state.withLock { $0[label, default: Counts()].tokens &+= tokens }
  }

  /// Every name has its samples from the start. Those of names that the file has no more are gone, so that they do not pile up.
  func write(to text: inout MetricsText) {
    let labels = keys.names + [Caller.nobody, .stranger].compactMap(Self.label)
    let counts = state.withLock { state in
      state = state.filter { labels.contains($0.key) }
      return state
    }
    text.family(
      "nearfar_api_key_requests_total", "counter",
      "Answered requests by the name of their API key; none and invalid are those without one of the service's.")
    for label in labels {
      let requests = counts[label, default: Counts()].requests
      for (index, count) in requests.enumerated() where count > 0 || [1, 3, 4].contains(index) {
        text.sample("nearfar_api_key_requests_total", [("key", label), ("status", "\(index + 1)xx")], Double(count))
      }
    }
    text.family("nearfar_api_key_tokens_total", "counter", "Tokens that were encoded, by the name of the API key.")
    for name in keys.names {
      text.sample("nearfar_api_key_tokens_total", [("key", name)], Double(counts[name]?.tokens ?? 0))
    }
  }

  /// Names of keys are none of these (``KeyFile``).
  private static func label(_ caller: Caller) -> String? {
    switch caller {
    case .anyone: nil
    case .nobody: "none"
    case .stranger, .unchecked: "invalid"
    case .named(let name, _): name
    }
  }
}
