import HTTP1
import Synchronization

/// An answer on its way to the loop.
struct Reply {
  /// Slot and generation of the connection.
  var token: UInt64
  /// Which of the connection's requests it answers.
  var sequence: UInt64
  /// Nil when the handler let the request go without an answer.
  var response: Response?
}

/// Where answers from any thread wait for the loop.
///
/// The wake-up is written only when the loop sleeps and nothing waited before: under load, answers are collected in
/// passing and cost no system call.
final class Mailbox: Sendable {
  private struct State {
    var replies: [Reply] = []
    var isLoopAsleep = false
  }

  private let state = Mutex(State())
  private let wakeup: Wakeup

  init(wakeup: Wakeup) {
    self.wakeup = wakeup
  }

  func put(_ reply: Reply) {
    let wasAsleep = state.withLock { state in
      state.replies.append(reply)
      defer { state.isLoopAsleep = false }
      return state.isLoopAsleep
    }
    if wasAsleep { wakeup.signal() }
  }

  /// Exchanges the waiting replies for `empty`, which keeps both arrays' storage in use. Loop thread.
  func take(_ empty: inout [Reply]) {
    state.withLock { state in
      swap(&state.replies, &empty)
      state.isLoopAsleep = false
    }
  }

  /// Announces that the loop goes to sleep. False when replies wait: then it must not. Loop thread.
  func prepareToSleep() -> Bool {
    state.withLock { state in
      state.isLoopAsleep = state.replies.isEmpty
      return state.isLoopAsleep
    }
  }
}
