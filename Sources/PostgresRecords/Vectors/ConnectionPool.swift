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

  /// Begins something on a connection at once, and runs `work` with it on a thread of its own. So the database works already while the
  /// thread is woken.
  ///
  /// - Parameters:
  ///   - first: must not wait, and returns false where it has begun nothing.
  ///   - work: has to give the connection back to ``giveBack(_:)``.
  /// - Returns: false where no connection and thread are free, or nothing was begun; `work` is not run then.
  func begin(
    _ first: (PostgresConnection) throws(PostgresError) -> Bool, _ work: @escaping @Sendable (ConnectionSlot) -> Void
  ) -> Bool {
    let held = state.withLock { state -> ConnectionSlot? in
      guard state.waiting.isEmpty, state.running < all.count, let slot = state.idle.popLast() else { return nil }
      state.running += 1
      return slot
    }
    guard let held else { return false }
    let isBegun = held.begin(first)
    if !isBegun { giveBack(held) }
    // Other work may wait by now because this counted as running.
    queue.async {
      if isBegun { work(held) }
      self.run()
    }
    return isBegun
  }

  func giveBack(_ slot: ConnectionSlot) { state.withLock { $0.idle.append(slot) } }

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
  }
}
