import Synchronization

/// How much work waits or runs in one place, and how long that will take at the pace of the last seconds.
package final class WorkMeter: Sendable {
  private struct State {
    /// Cost of what has been taken in and is not done.
    var pending = 0.0
    /// Cost per second.
    var rate: Double
  }

  /// The share of the measured pace that the newest measurement of a whole second has.
  private static let newest = 0.3

  private let state: Mutex<State>

  /// - Parameter rate: cost per second as guessed before anything was measured.
  package init(rate: Double) {
    precondition(rate > 0, "work has to get done")
    state = Mutex(State(rate: rate))
  }

  package func add(_ cost: Double) { state.withLock { $0.pending += cost } }

  /// Work that was taken in is done, or will not be done.
  package func remove(_ cost: Double) { state.withLock { $0.pending = max(0, $0.pending - cost) } }

  /// Notes that `cost` took `seconds` while `parallel` such pieces may run at once.
  package func measured(_ cost: Double, seconds: Double, parallel: Int = 1) {
    guard seconds > 0, cost > 0 else { return }
    state.withLock { state in
      // A measurement counts for as much as it took: many short ones weigh what a long one does.
      let weight = min(Self.newest, Self.newest * seconds)
      let found = cost / seconds * Double(parallel)
      // Times are averaged, not rates, so that a pace that varies is not taken for the faster one.
      state.rate = 1 / ((1 - weight) / state.rate + weight / found)
    }
  }

  /// Seconds until everything that is here now is done.
  package var backlog: Double { state.withLock { $0.pending / $0.rate } }

  /// Seconds that work of that cost takes with nothing else to do.
  package func seconds(_ cost: Double) -> Double { state.withLock { cost / $0.rate } }

  /// The same in nanoseconds, and never more than 30 years.
  package func nanoseconds(_ cost: Double) -> UInt64 { UInt64(min(seconds(cost) * 1e9, 1e18)) }
}
