import Synchronization

/// How many requests wait for their turn in a lane, and how long those that had it waited.
package final class WaitMeter: Sendable {
  private struct State {
    var waiting = 0
    var seconds = Histogram(Histogram.waits)
  }

  private let state = Mutex(State())

  package init() {}

  /// One more waits.
  func enter() { state.withLock { $0.waiting += 1 } }

  /// One that waited has its turn, or is given up.
  func leave(after nanoseconds: UInt64) {
    state.withLock { state in
      state.waiting -= 1
      state.seconds.add(Double(nanoseconds) / 1e9)
    }
  }

  var waiting: Int { state.withLock { $0.waiting } }

  /// Seconds.
  var waits: Histogram { state.withLock { $0.seconds } }
}
