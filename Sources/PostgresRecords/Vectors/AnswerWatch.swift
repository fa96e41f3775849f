import CLinux
import Dispatch
import Platform
import Synchronization

/// Waits on one thread for the answers to what was sent ahead on any connection. A thread for each would have to be woken for each
/// request, and to give way to the database and back again, which takes longer than what it does.
final class AnswerWatch: Sendable {
  private struct Waiting: Sendable {
    let slot: ConnectionSlot
    let deadline: Double
    let answered: @Sendable (Result<[PostgresResult], PostgresError>) -> Void
  }

  private struct State {
    var waiting: [UInt64: Waiting] = [:]
    var lastToken: UInt64 = 0
    /// The thread sleeps until it is woken.
    var isResting = true
    var isStarted = false
    var isClosed = false
  }

  /// Milliseconds after which everything that waits is looked at: a deadline may have passed, or a connection been given up.
  private static let pause: Int32 = 100
  /// So many pauses without anything that waits, and the thread rests.
  private static let mostIdle = 50

  private let state = Mutex(State())
  /// Below 0 where the system has no memory for it.
  private let epoll = clinux_epoll_create()
  private let wakeup = clinux_eventfd()

  deinit {
    if epoll >= 0 { systemClose(epoll) }
    if wakeup >= 0 { systemClose(wakeup) }
  }

  /// Waits for the answer on a connection, whose socket is given.
  ///
  /// - Parameters:
  ///   - seconds: within which it has to be there.
  ///   - answered: called once, on the thread of this object, which it must not hold up.
  func wait(
    for slot: ConnectionSlot, _ socket: Int32, seconds: Double,
    _ answered: @escaping @Sendable (Result<[PostgresResult], PostgresError>) -> Void
  ) {
    let one = Waiting(slot: slot, deadline: PostgresConnection.now + seconds, answered: answered)
    let (token, wakes) = state.withLock { state -> (UInt64?, Bool) in
      guard !state.isClosed, epoll >= 0, wakeup >= 0 else { return (nil, false) }
      if !state.isStarted {
        state.isStarted = true
        start()
      }
      state.lastToken &+= 1
      state.waiting[state.lastToken] = one
      defer { state.isResting = false }
      return (state.lastToken, state.isResting)
    }
    guard let token else { return answered(.failure(.closed)) }
    // Where this fails, the look at everything finds the answer.
    _ = clinux_epoll_add_listener(epoll, socket, token)
    if wakes { clinux_eventfd_signal(wakeup) }
  }

  func close() {
    state.withLock { $0.isClosed = true }
    if wakeup >= 0 { clinux_eventfd_signal(wakeup) }
  }

  private func start() {
    _ = clinux_epoll_add_listener(epoll, wakeup, 0)
    DispatchQueue(label: "nearfar.database.answers", qos: .userInitiated).async { self.run() }
  }

  private func run() {
    let capacity: Int32 = 64
    withUnsafeTemporaryAllocation(of: clinux_event.self, capacity: Int(capacity)) { events in
      var idle = 0
      var looked = SystemClock.monotonic
      while true {
        // SAFETY: there is room for so many events, and those that are counted have been written.
        let count = clinux_epoll_wait(epoll, events.baseAddress, capacity, idle > Self.mostIdle ? -1 : Self.pause)
        if count > 0 { idle = 0 }
        for index in 0..<max(0, Int(count)) {
          let token = events[index].token
          if token == 0 { clinux_eventfd_clear(wakeup) } else { progress(token) }
        }
        let now = SystemClock.monotonic
        guard count <= 0 || now &- looked > UInt64(Self.pause) * 1_000_000 else { continue }
        looked = now
        let (tokens, isClosed) = state.withLock { (Array($0.waiting.keys), $0.isClosed) }
        for token in tokens { progress(token) }
        idle = tokens.isEmpty ? idle + 1 : 0
        if tokens.isEmpty, isClosed { return }
        if idle > Self.mostIdle {
          state.withLock { state in
            if state.waiting.isEmpty { state.isResting = true } else { idle = 0 }
          }
        }
      }
    }
  }

  private func progress(_ token: UInt64) {
    guard let one = state.withLock({ $0.waiting[token] }) else { return }
    let answer = one.slot.progress(until: one.deadline) { _ = clinux_epoll_remove(epoll, $0) }
    guard let answer, state.withLock({ $0.waiting.removeValue(forKey: token) }) != nil else { return }
    one.answered(answer)
  }
}
