import Dispatch
import Synchronization

/// Those who wait until what is in memory has reached a version.
final class VersionWaits: Sendable {
  private struct Waiter {
    let isOver: @Sendable () -> Bool
    let completion: @Sendable (Bool) -> Void
  }

  private struct State {
    var waiters: [Int: Waiter] = [:]
    var last = 0
  }

  private let state = Mutex(State())

  /// Calls `completion` once: with true as soon as `isOver` is true after a change, or with false after so many seconds.
  func wait(
    until isOver: @escaping @Sendable () -> Bool, seconds: Double, completion: @escaping @Sendable (Bool) -> Void
  ) {
    guard !isOver() else { return completion(true) }
    let number = state.withLock { state in
      state.last += 1
      state.waiters[state.last] = Waiter(isOver: isOver, completion: completion)
      return state.last
    }
    // It may have become true before this was among those that are looked at.
    check()
    DispatchQueue.global().asyncAfter(deadline: .now() + seconds) { [self] in
      state.withLock { $0.waiters.removeValue(forKey: number) }?.completion(false)
    }
  }

  /// To be called when something has changed.
  func check() {
    let waiting = state.withLock { $0.waiters }
    for (number, waiter) in waiting where waiter.isOver() {
      state.withLock { $0.waiters.removeValue(forKey: number) }?.completion(true)
    }
  }
}
