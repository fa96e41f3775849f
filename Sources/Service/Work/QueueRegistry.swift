import Contrastive
import SimilarityCore
import Synchronization

/// A named queue of negatives. Requests that use it go through one after another, each seeing whole batches.
final class ServedQueue: Sendable {
  /// Reads the queue's rows and says what to append; nil appends nothing.
  typealias Turn = @Sendable (NegativeQueue) -> Matrix?

  let name: String
  private let work: WorkQueues
  private let state: Mutex<State>

  private struct State {
    var contents: NegativeQueue
    var waiting: [Turn] = []
    var isBusy = false
  }

  init(name: String, capacity: Int, dimension: Int, work: WorkQueues) {
    self.name = name
    self.work = work
    state = Mutex(State(contents: NegativeQueue(capacity: capacity, dimension: dimension)))
  }

  var contents: NegativeQueue { state.withLock { $0.contents } }

  /// Runs `turn` now or once those before it are done. Nobody blocks: a turn that must wait is kept, and the one before hands
  /// its work queue on, so a queue in demand holds up no other work.
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
    let appended = turn(contents)
    let next = state.withLock { state -> Turn? in
      if let appended { state.contents.append(appended) }
      guard !state.waiting.isEmpty else {
        state.isBusy = false
        return nil
      }
      return state.waiting.removeFirst()
    }
    if let next { work.submit { self.run(next) } }
  }
}

/// All queues of the process, by name. They live in memory and end with it.
final class QueueRegistry: Sendable {
  /// Values that all queues together may hold: 2 GiB.
  private static let mostValues = 1 << 29

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
      let held = queues.values.reduce(0) { sum, queue in
        let contents = queue.contents
        return sum + contents.capacity * contents.dimension
      }
      guard held + capacity * dimension <= Self.mostValues else { return nil }
      let queue = ServedQueue(name: name, capacity: capacity, dimension: dimension, work: work)
      queues[name] = queue
      return (queue, true)
    }
    guard let made else {
      throw .invalid("capacity", "all queues together may hold \(Self.mostValues) values")
    }
    let contents = made.queue.contents
    guard contents.capacity == capacity, contents.dimension == dimension else {
      throw Problem(409, "queue '\(name)' exists with capacity \(contents.capacity) and dim \(contents.dimension)")
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
