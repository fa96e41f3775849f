import HTTP1
import Synchronization

/// Answers under the `Idempotency-Key` of their requests: a repeated request gets the first answer and is not run again.
final class IdempotencyStore: Sendable {
  /// How long an answer is kept, in nanoseconds, and how many bytes of bodies in all.
  private static let lifetime: UInt64 = 600 * 1_000_000_000
  private static let mostBytes = 64 << 20

  private struct Entry {
    let fingerprint: Int
    /// nil while the first request runs.
    var answer: Response?
    var waiting: [Call] = []
    let since: UInt64
  }

  private struct State {
    var entries: [String: Entry] = [:]
    /// Keys of answered entries, oldest first.
    var order: [String] = []
    var bytes = 0

    mutating func forget(_ key: String) {
      bytes -= entries.removeValue(forKey: key)?.answer?.body.count ?? 0
    }
  }

  private enum Verdict {
    case run
    case wait
    case repeated(Response)
    case differs
  }

  private let state = Mutex(State())
  private let now: @Sendable () -> UInt64

  /// - Parameter now: the time in nanoseconds.
  init(now: @escaping @Sendable () -> UInt64 = { MonotonicClock.now }) {
    self.now = now
  }

  /// Looks at a request before it is run.
  ///
  /// - Returns: true when it is to be run; otherwise it has its answer, or will have it with the first one's.
  /// - Throws: 422 for a key that is none, or that another request had.
  func admit(_ call: Call) throws(Problem) -> Bool {
    guard let key = call.head.fields["idempotency-key"] else { return true }
    guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw .invalid("Idempotency-Key", "must have 1 to 255 visible ASCII characters")
    }
    let fingerprint = call.withBody { body in
      var hasher = Hasher()
      hasher.combine(call.answerType)
      body.withUnsafeBytes { hasher.combine(bytes: $0) }
      return hasher.finalize()
    }
    switch claim(key, fingerprint, call) {
    case .run:
      call.whenAnswered { self.finish(key, $0) }
      return true
    case .wait: return false
    case .repeated(let response):
      call.answer(response)
      return false
    case .differs:
      throw .invalid("Idempotency-Key", "was used with another request")
    }
  }

  private func claim(_ key: String, _ fingerprint: Int, _ call: Call) -> Verdict {
    let time = now()
    return state.withLock { state in
      while let oldest = state.order.first, let entry = state.entries[oldest], time &- entry.since > Self.lifetime {
        state.order.removeFirst()
        state.forget(oldest)
      }
      guard var entry = state.entries[key] else {
        state.entries[key] = Entry(fingerprint: fingerprint, since: time)
        return .run
      }
      guard entry.fingerprint == fingerprint else { return .differs }
      if let answer = entry.answer { return .repeated(answer) }
      entry.waiting.append(call)
      state.entries[key] = entry
      return .wait
    }
  }

  private func finish(_ key: String, _ answer: Response) {
    let waiting = state.withLock { state -> [Call] in
      guard var entry = state.entries[key] else { return [] }
      let waiting = entry.waiting
      // A failure of the service is not the answer to keep: the client should try again.
      guard answer.status < 500, answer.body.count <= Self.mostBytes else {
        state.entries[key] = nil
        return waiting
      }
      entry.answer = answer
      entry.waiting = []
      state.entries[key] = entry
      state.order.append(key)
      state.bytes += answer.body.count
      while state.bytes > Self.mostBytes, let oldest = state.order.first {
        state.order.removeFirst()
        state.forget(oldest)
      }
      return waiting
    }
    for call in waiting { call.answer(answer) }
  }
}
