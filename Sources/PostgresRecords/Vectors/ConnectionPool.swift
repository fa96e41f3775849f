import Dispatch
import Synchronization

/// A few connections, and as many threads on which work may wait for them.
final class ConnectionPool: Sendable {
  private struct State {
    /// Those that no work uses. The one that was used last is used next, so that after the database was away not each of them has to find
    /// out for a caller.
    var idle: [ConnectionSlot]
    var waiting: [@Sendable () -> Void] = []
    var running = 0
  }

  /// Work that may wait; more of it is refused.
  private static let mostWaiting = 4096

  private let state: Mutex<State>
  private let answers = AnswerWatch()
  private let all: [ConnectionSlot]
  private let queue = DispatchQueue(label: "nearfar.database", qos: .userInitiated, attributes: .concurrent)

  init(_ slots: [ConnectionSlot]) {
    all = slots
    state = Mutex(State(idle: slots))
  }

  /// - Returns: false when too much waits.
  func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
    let (taken, starts) = state.withLock { state in
      guard state.waiting.count < Self.mostWaiting else { return (false, false) }
      state.waiting.append(work)
      let starts = state.running < all.count
      if starts { state.running += 1 }
      return (true, starts)
    }
    if starts { queue.async { self.run() } }
    return taken
  }

  private func run() {
    while let work = take() { work() }
  }

  private func take() -> (@Sendable () -> Void)? {
    state.withLock { state in
      guard !state.waiting.isEmpty else {
        state.running -= 1
        return nil
      }
      return state.waiting.removeFirst()
    }
  }

  /// Begins something on a connection at once, and waits for the answer where no thread has to be woken for it.
  ///
  /// - Parameters:
  ///   - first: must not wait, and returns false where it has begun nothing.
  ///   - seconds: within which the answer has to be there.
  ///   - answered: called with the rows of each statement, on a thread that must not wait.
  /// - Returns: false where no connection is free, or nothing was begun; `answered` is not called then.
  func begin(
    _ first: (PostgresConnection) throws(PostgresError) -> Bool, seconds: Double,
    _ answered: @escaping @Sendable (Result<[PostgresResult], PostgresError>) -> Void
  ) -> Bool {
    let held = state.withLock { state -> ConnectionSlot? in
      guard state.waiting.isEmpty, state.running < all.count, let slot = state.idle.popLast() else { return nil }
      // Other work counts on a connection for each piece that runs.
      state.running += 1
      return slot
    }
    guard let held else { return false }
    guard let socket = held.begin(first) else {
      end(held)
      return false
    }
    answers.wait(for: held, socket, seconds: seconds) { [self] answer in
      end(held)
      answered(answer)
    }
    return true
  }

  /// Gives a connection back on which something was begun.
  private func end(_ slot: ConnectionSlot) {
    let isWanted = state.withLock { state in
      state.idle.append(slot)
      if state.waiting.isEmpty { state.running -= 1 }
      return !state.waiting.isEmpty
    }
    if isWanted { queue.async { self.run() } }
  }

  private func giveBack(_ slot: ConnectionSlot) { state.withLock { $0.idle.append(slot) } }

  /// Calls `body` with a connection that nobody else uses meanwhile.
  func with<Answer>(
    _ body: (PostgresConnection) throws(PostgresError) -> Answer
  ) throws(PostgresError) -> Answer {
    // There is one for each piece of work; whoever calls from elsewhere shares the first.
    let slot = state.withLock { $0.idle.popLast() }
    defer { if let slot { giveBack(slot) } }
    guard let used = slot ?? all.first else { throw .closed }
    return try used.with(body)
  }

  func close() {
    for slot in all { slot.close() }
    answers.close()
  }
}
