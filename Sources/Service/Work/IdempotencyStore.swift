import HTTP1
import Platform
import Synchronization
import VectorStore

/// Answers under the `Idempotency-Key` of their requests (draft-ietf-httpapi-idempotency-key-header): a repeated request
/// gets the first answer and is not run again.
final class IdempotencyStore: Sendable {
  /// How long an answer is kept, in nanoseconds.
  private static let lifetime: UInt64 = 600 * 1_000_000_000
  /// How much all answers may take; the oldest, which is the next to expire, makes room.
  private static let mostBytes = 64 << 20
  /// The bytes that an entry takes beside its key and its body. They bound the number of short answers as well.
  private static let overhead = 512

  private struct Entry {
    let fingerprint: Int
    /// nil while the first request runs.
    var answer: Response?
    /// Repetitions that came meanwhile.
    var waiting: [Repetition] = []
    /// When the answer was given.
    var since: UInt64 = 0
  }

  private struct Repetition {
    let call: Call
    let action: @Sendable (Call) throws -> Void
  }

  private struct State {
    var entries: [String: Entry] = [:]
    /// Keys of answered entries, oldest first, from `first` on.
    private var order: [String] = []
    private var first = 0
    var bytes = 0

    var oldest: String? { first < order.count ? order[first] : nil }

    mutating func keep(_ key: String, _ entry: Entry) {
      entries[key] = entry
      order.append(key)
      bytes += Self.size(key, entry)
    }

    mutating func forgetOldest() {
      guard let key = oldest else { return }
      first += 1
      if let entry = entries.removeValue(forKey: key) { bytes -= Self.size(key, entry) }
      guard first > 1024, first * 2 > order.count else { return }
      order.removeFirst(first)
      first = 0
    }

    private static func size(_ key: String, _ entry: Entry) -> Int {
      IdempotencyStore.overhead + key.utf8.count + (entry.answer?.body.count ?? 0)
    }
  }

  private enum Verdict {
    case run
    case wait
    case repeated(Response)
    case differs
  }

  private let state = Mutex(State())
  private let work: WorkQueues
  private let now: @Sendable () -> UInt64
  /// Whether the same request may come to another replica, so that its key has to be stored with what it changes.
  private let isShared: Bool

  /// - Parameter now: the time in nanoseconds.
  init(work: WorkQueues, isShared: Bool = false, now: @escaping @Sendable () -> UInt64) {
    self.work = work
    self.isShared = isShared
    self.now = now
  }

  /// An action that runs once for each key: a repeated request gets the first one's answer, now or when it is there. When the
  /// first one failed with a 5xx or 403, the next runs after all.
  ///
  /// The action throws 422 for a key that is malformed, or that was used with another request.
  func once(_ action: @escaping @Sendable (Call) throws -> Void) -> @Sendable (Call) throws -> Void {
    { call in
      if try self.isFirst(call, action) { try action(call) }
    }
  }

  /// - Returns: true when the request is to be run now; otherwise it has its answer, or will have it with the first one's.
  private func isFirst(_ call: Call, _ action: @escaping @Sendable (Call) throws -> Void) throws(Problem) -> Bool {
    guard let key = call.head.fields["idempotency-key"] else { return true }
    guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw .invalid("Idempotency-Key", "must have 1 to 255 visible ASCII characters")
    }
    // Nobody gets an answer that another API key asked for. No name has a space.
    let entry = "\(call.caller.share) \(key)"
    switch claim(entry, Self.fingerprint(call), Repetition(call: call, action: action)) {
    case .run:
      if isShared { call.changeKey = try Self.changeKey(entry, call) }
      call.whenAnswered { self.finish(entry, $0) }
      return true
    case .wait: return false
    case .repeated(let response):
      call.answer(response)
      return false
    case .differs:
      throw .invalid("Idempotency-Key", "was used with another request")
    }
  }

  /// The request's target, its content as it was sent, and what it wants back; keyed with a secret of the process, as `Hasher` is.
  private static func fingerprint(_ call: Call) -> Int {
    call.withBody { body in
      var hasher = Hasher()
      hasher.combine(call.head.method.name)
      hasher.combine(call.head.target)
      hasher.combine(call.bodyType)
      hasher.combine(call.bodyCoding)
      hasher.combine(call.answerType)
      body.withUnsafeBytes { hasher.combine(bytes: $0) }
      return hasher.finalize()
    }
  }

  /// The same on every replica, and after a restart.
  private static func changeKey(_ entry: String, _ call: Call) throws(Problem) -> ChangeKey {
    let what = "\(call.head.method.name) \(call.head.target) \(call.bodyType) \(call.bodyCoding) \(call.answerType)\n"
    do throws(DigestFailure) {
      var hash = try SHA256()
      hash.add(Array(what.utf8))
      call.withBody { hash.add($0) }
      return ChangeKey(
        key: Array(try SHA256.digest(of: Array(entry.utf8)).prefix(16)),
        fingerprint: Array(try hash.digest().prefix(16)))
    } catch {
      throw .internalError
    }
  }

  private func claim(_ key: String, _ fingerprint: Int, _ repetition: Repetition) -> Verdict {
    let time = now()
    return state.withLock { state in
      while let oldest = state.oldest, time &- (state.entries[oldest]?.since ?? 0) > Self.lifetime {
        state.forgetOldest()
      }
      guard var entry = state.entries[key] else {
        state.entries[key] = Entry(fingerprint: fingerprint)
        return .run
      }
      guard entry.fingerprint == fingerprint else { return .differs }
      if let answer = entry.answer { return .repeated(answer) }
      entry.waiting.append(repetition)
      state.entries[key] = entry
      return .wait
    }
  }

  private func finish(_ key: String, _ answer: Response) {
    let time = now()
    // A request that failed with a 5xx (its client may have left) or for want of a right has changed nothing, and may succeed
    // later. So its answer is not kept.
    let failed = answer.status >= 500 || answer.status == 403
    let waiting = state.withLock { state -> [Repetition] in
      guard var entry = state.entries.removeValue(forKey: key) else { return [] }
      let waiting = entry.waiting
      guard !failed else { return waiting }
      entry.waiting = []
      entry.since = time
      entry.answer = answer.body.count <= Self.mostBytes - 1024 ? answer : Self.tooLarge
      state.keep(key, entry)
      while state.bytes > Self.mostBytes { state.forgetOldest() }
      return waiting
    }
    for repetition in waiting {
      // Each starts again: the first of them runs, and the others wait for its answer.
      let call = repetition.call
      guard failed else {
        call.answer(answer)
        continue
      }
      work.submit { call.perform { try self.once(repetition.action)(call) } }
    }
  }

  /// Kept in place of an answer that would leave no room for others, so that a repetition still does not run twice.
  private static let tooLarge =
    Problem(409, "the request was carried out; its answer is too large to be kept", param: "Idempotency-Key")
    .response(.native)
}
