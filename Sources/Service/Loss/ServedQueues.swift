import Contrastive
import SimilarityCore
import Synchronization

/// All queues of the process, by name. They live in memory and end with it.
final class QueueRegistry: Sendable {
  /// Values that all queues together may hold: 2 GiB.
  private static let mostValues = 1 << 29

  /// The limit also bounds `/metrics`, which has two lines for each queue.
  private static let mostQueues = 1024

  private let work: WorkQueues
  private let queues = Mutex<[String: ServedQueue]>([:])

  init(work: WorkQueues) {
    self.work = work
  }

  /// Makes a queue, or returns the existing one when its settings are the same.
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

/// A named queue of negatives. Requests that use it go through one after another, each seeing whole batches.
final class ServedQueue: Sendable {
  /// What a request does once nobody else is in the queue.
  typealias Turn = @Sendable (ServedQueue) -> Void

  let name: String
  let capacity: Int
  let dimension: Int
  private let work: WorkQueues
  private let state: Mutex<State>

  private struct State {
    var contents: NegativeQueue
    var waiting: [Turn] = []
    var isBusy = false
  }

  init(name: String, capacity: Int, dimension: Int, work: WorkQueues) {
    self.name = name
    self.capacity = capacity
    self.dimension = dimension
    self.work = work
    state = Mutex(State(contents: NegativeQueue(capacity: capacity, dimension: dimension)))
  }

  /// Rows held, and rows that were ever appended.
  var counts: (held: Int, appended: Int) { state.withLock { ($0.contents.count, $0.contents.appended) } }

  /// The rows held, oldest first.
  var rows: Matrix { state.withLock { $0.contents.rows } }

  /// Appends keys. Call it only within a turn.
  func append(_ keys: Matrix) { state.withLock { $0.contents.append(keys) } }

  /// Runs `turn` here now, or on a work queue once those before it are done.
  ///
  /// Nobody blocks: a turn that must wait is kept as a closure, not as a thread, and the turn before hands over to it. A
  /// lock held while a batch is scored would stop one work queue after another, and with them all other requests. A turn
  /// waits for nothing itself (texts are embedded before), so turns cannot wait for each other in a circle.
  func enter(_ turn: @escaping Turn) {
    let mayRun = state.withLock { state in
      guard !state.isBusy else {
        state.waiting.append(turn)
        return false
      }
      state.isBusy = true
      return true
    }
    if mayRun { run(turn) }
  }

  private func run(_ turn: Turn) {
    turn(self)
    let next = state.withLock { state -> Turn? in
      guard !state.waiting.isEmpty else {
        state.isBusy = false
        return nil
      }
      return state.waiting.removeFirst()
    }
    if let next { work.submit { self.run(next) } }
  }
}
