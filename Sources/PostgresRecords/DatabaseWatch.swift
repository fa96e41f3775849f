import Dispatch
import Platform
import Synchronization

/// Asks the database, on a thread and a connection of its own, whether it is still there, and receives the notifications of other
/// replicas.
///
/// A statement may wait long for good reasons: for a lock, for much work. That the database does not answer at all shows here, within
/// two seconds, whatever the statements wait for.
final class DatabaseWatch: Sendable {
  private struct State {
    /// When the database answered last; nil before its first answer.
    var answered: UInt64?
    var hasHint = false
    var isListening = false
    /// How often notifications have arrived.
    var notified = 0
    var isStopped = false
  }

  /// Seconds between two questions.
  private static let pause = 0.3
  /// Seconds without an answer after which the database is away.
  private static let patience = 1.2
  /// Seconds within which a notification arrives that has been sent for a trial.
  private static let trial = 1.0

  private let slot: ConnectionSlot
  private let state = Mutex(State())
  private let hint = DispatchSemaphore(value: 0)

  /// - Parameter servers: a direct connection, since a pool does not pass notifications on.
  init(_ servers: ServerOrder) { slot = ConnectionSlot(servers, name: "nearfar listener") }

  func start() {
    let thread = DispatchQueue(label: "nearfar.records.watch", qos: .userInitiated)
    thread.async { [self] in
      while !isStopped { look() }
      slot.close()
    }
  }

  func stop() {
    state.withLock { $0.isStopped = true }
    tell()
  }

  /// Whether a notification arrives that `send` sends. False also where the connection is not made in time, or leads to a standby.
  func hears(_ send: () -> Void) -> Bool {
    guard isSoon(\.isListening) else { return false }
    let before = state.withLock { $0.notified }
    send()
    return isSoon { $0.notified > before }
  }

  private func isSoon(_ holds: (State) -> Bool) -> Bool {
    let deadline = SystemClock.monotonic + SystemClock.nanoseconds(Self.trial)
    while !state.withLock({ holds($0) }) {
      guard SystemClock.monotonic < deadline else { return false }
      usleep(2_000)
    }
    return true
  }

  /// The database has answered before and does not now.
  var isAway: Bool {
    guard let answered = state.withLock({ $0.answered }) else { return false }
    let now = SystemClock.monotonic
    return now > answered && now - answered > SystemClock.nanoseconds(Self.patience)
  }

  /// When the database answered last, in monotonic nanoseconds; 0 before it has.
  var lastAnswer: UInt64 { state.withLock { $0.answered } ?? 0 }

  /// Waits until another replica may have changed something, for at most so many seconds.
  func waitForHint(seconds: Double) -> Bool {
    _ = hint.wait(timeout: .now() + seconds)
    return state.withLock { state in
      defer { state.hasHint = false }
      return state.hasHint
    }
  }

  private var isStopped: Bool { state.withLock { $0.isStopped } }

  private func look() {
    do throws(PostgresError) {
      let isTold = try slot.with { connection throws(PostgresError) in
        if connection.isListening, try connection.hasNotifications(seconds: Self.pause) {
          state.withLock { $0.notified += 1 }
          return true
        }
        // A standby does not pass notifications on, until it is promoted.
        let isStandby = try connection.run("SELECT pg_is_in_recovery()", seconds: Self.patience).boolean(0, 0)
        guard isStandby == false else {
          usleep(UInt32(Self.pause * 1e6))
          return false
        }
        guard !connection.isListening else { return false }
        try connection.run("LISTEN nearfar", seconds: Self.patience)
        connection.isListening = true
        state.withLock { $0.isListening = true }
        // What came before is not announced again.
        return true
      }
      state.withLock { $0.answered = SystemClock.monotonic }
      if isTold { tell() }
    } catch {
      usleep(50_000)
    }
  }

  private func tell() {
    // Hints that nobody has taken yet are one hint.
    let isNew = state.withLock { state in
      defer { state.hasHint = true }
      return !state.hasHint
    }
    if isNew { hint.signal() }
  }
}
