import Synchronization

/// All queues of the process, by name. They live in memory and end with it.
final class QueueRegistry: Sendable {
  /// Values that all queues together may hold: 2 GiB.
  private static let mostValues = 1 << 29

  /// Each is also two lines of the metrics.
  private static let mostQueues = 1024

  private let work: WorkQueues
  private let queues = Mutex<[String: ServedQueue]>([:])

  init(work: WorkQueues) {
    self.work = work
  }

  /// Makes a queue, or finds the one that is alike.
  ///
  /// - Throws: 409 when one of that name differs, 422 when there is no room for it.
  func create(_ name: String, capacity: Int, dimension: Int) throws(Problem) -> (queue: ServedQueue, created: Bool) {
    let made = queues.withLock { queues -> (queue: ServedQueue, created: Bool)? in
      if let existing = queues[name] { return (existing, false) }
      let held = queues.values.reduce(0) { $0 + $1.capacity * $1.dimension }
      guard queues.count < Self.mostQueues, held + capacity * dimension <= Self.mostValues else { return nil }
      let queue = ServedQueue(name: name, capacity: capacity, dimension: dimension, work: work)
      queues[name] = queue
      return (queue, true)
    }
    guard let made else {
      throw .invalid(
        "capacity", "there may be \(Self.mostQueues) queues, which may hold \(Self.mostValues) values together")
    }
    guard made.queue.capacity == capacity, made.queue.dimension == dimension else {
      throw Problem(409, "queue '\(name)' exists with capacity \(made.queue.capacity) and dim \(made.queue.dimension)")
    }
    return made
  }

  func queue(_ name: String) throws(Problem) -> ServedQueue {
    guard let queue = queues.withLock({ $0[name] }) else {
      throw Problem(404, "there is no queue '\(name)'", param: "queue")
    }
    return queue
  }

  /// Every queue, by name.
  var all: [ServedQueue] { queues.withLock { Array($0.values) }.sorted { $0.name < $1.name } }

  func delete(_ name: String) throws(Problem) {
    guard queues.withLock({ $0.removeValue(forKey: name) }) != nil else {
      throw Problem(404, "there is no queue '\(name)'", param: "queue")
    }
  }
}
