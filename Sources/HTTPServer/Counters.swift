import Synchronization

/// The live counters behind `ServerStatistics`. Only the loop writes them.
final class Counters: Sendable {
  let connectionsOpen = Atomic(0)
  let connectionsAccepted = Atomic(0)
  let connectionsRejected = Atomic(0)
  let requests = Atomic(0)
  let failures = Atomic(0)
  let bytesReceived = Atomic(0)
  let bytesSent = Atomic(0)

  var snapshot: ServerStatistics {
    var statistics = ServerStatistics()
    statistics.connectionsOpen = connectionsOpen.load(ordering: .relaxed)
    statistics.connectionsAccepted = connectionsAccepted.load(ordering: .relaxed)
    statistics.connectionsRejected = connectionsRejected.load(ordering: .relaxed)
    statistics.requests = requests.load(ordering: .relaxed)
    statistics.failures = failures.load(ordering: .relaxed)
    statistics.bytesReceived = bytesReceived.load(ordering: .relaxed)
    statistics.bytesSent = bytesSent.load(ordering: .relaxed)
    return statistics
  }
}

extension Atomic<Int> {
  /// Adds without a locked instruction, which one writer does not need.
  @inline(__always)
  func add(_ amount: Int) {
    store(load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }
}
