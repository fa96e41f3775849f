import HTTP1
import Synchronization

/// What the connections of one loop are doing, and the times of theirs that ran out. Only the loop writes.
final class ConnectionCounts: Sendable {
  private final class Count: Sendable {
    let value = Atomic(0)
  }

  private let activities = ConnectionActivity.allCases.map { _ in Count() }
  private let timeouts = ConnectionTimeout.allCases.map { _ in Count() }

  /// A connection goes from one activity to another. It has none before it is opened and after it is closed.
  func move(from old: ConnectionActivity?, to new: ConnectionActivity?) {
    if let old { activities[old.rawValue].value.add(-1) }
    if let new { activities[new.rawValue].value.add(1) }
  }

  func timedOut(_ timeout: ConnectionTimeout) { timeouts[timeout.rawValue].value.add(1) }

  /// Adds these numbers to those of other loops.
  func add(to statistics: inout ServerStatistics) {
    for activity in ConnectionActivity.allCases {
      statistics.connections[activity, default: 0] += activities[activity.rawValue].value.load(ordering: .relaxed)
    }
    for timeout in ConnectionTimeout.allCases {
      statistics.timeouts[timeout, default: 0] += timeouts[timeout.rawValue].value.load(ordering: .relaxed)
    }
  }
}

extension EventLoop {
  /// Takes note of what the connection is doing now.
  func noteActivity(_ connection: Connection) {
    let isEstablished = connection.handshakeEnds == nil && connection.proxyHeader == nil
    let activity = isEstablished ? connection.state.activity : .handshake
    guard activity != connection.activity else { return }
    counters.connections.move(from: connection.activity, to: activity)
    connection.activity = activity
  }
}
