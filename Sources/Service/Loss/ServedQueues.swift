import Contrastive
import SimilarityCore
import Synchronization
import VectorStore

/// All queues of the process, by name: those that live in memory and end with it, and those that replicas share (``SharedQueues``).
final class QueueRegistry: Sendable {
  /// Values that all queues together may hold: 2 GiB.
  static let mostValues = 1 << 29

  /// The limit also bounds `/metrics`, which has two lines for each queue.
  static let mostQueues = 1024

  let work: WorkQueues
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
    guard let made else { throw Self.noRoom }
    return (try made.queue.checked(capacity, dimension), made.created)
  }

  static var noRoom: Problem {
    .invalid("capacity", "there may be \(mostQueues) queues, which may hold \(mostValues) values together")
  }

  static func unknown(_ name: String) -> Problem { Problem(404, "there is no queue '\(name)'", param: "queue") }

  func find(_ name: String) -> ServedQueue? { queues.withLock { $0[name] } }

  func queue(_ name: String) throws(Problem) -> ServedQueue {
    guard let queue = find(name) else { throw Self.unknown(name) }
    return queue
  }

  /// Puts a shared queue in the place of whatever has its name here.
  func install(_ queue: ServedQueue) { queues.withLock { $0[queue.name] = queue } }

  /// Removes this queue, and not another one that has its name meanwhile.
  func remove(_ queue: ServedQueue) {
    queues.withLock { queues in
      if queues[queue.name] === queue { queues[queue.name] = nil }
    }
  }

  /// Every queue, by name.
  var all: [ServedQueue] { queues.withLock { Array($0.values) }.sorted { $0.name < $1.name } }

  func delete(_ name: String) throws(Problem) {
    guard queues.withLock({ $0.removeValue(forKey: name) }) != nil else { throw Self.unknown(name) }
  }
}

/// A named queue of negatives. Requests that use it go through one after another, each seeing whole batches.
final class ServedQueue: Sendable {
  /// What a request does once nobody else is in the queue.
  typealias Turn = @Sendable (ServedQueue) -> Void

  let name: String
  let capacity: Int
  let dimension: Int
  /// Its number in the records that replicas share; nil for a queue of this process alone.
  let shared: Int64?
  private let work: WorkQueues
  private let state: Mutex<State>

  private struct State {
    var contents: NegativeQueue
    /// Batches that were appended, and the digest over them, as the shared records count them.
    var version = 0
    var digest: Int64 = 0
    /// Whether a batch has been applied.
    var hasBatch = false
    var waiting: [Turn] = []
    var isBusy = false
  }

  init(name: String, capacity: Int, dimension: Int, work: WorkQueues) {
    self.name = name
    self.capacity = capacity
    self.dimension = dimension
    self.work = work
    shared = nil
    state = Mutex(State(contents: NegativeQueue(capacity: capacity, dimension: dimension)))
  }

  /// A queue that replicas share, before its batches are applied.
  init(_ stored: StoredQueue, work: WorkQueues) {
    name = stored.name
    capacity = stored.capacity
    dimension = stored.dimension
    shared = stored.id
    self.work = work
    state = Mutex(State(contents: NegativeQueue(capacity: stored.capacity, dimension: stored.dimension)))
  }

  /// - Throws: 409 when it was made with other settings.
  func checked(_ capacity: Int, _ dimension: Int) throws(Problem) -> ServedQueue {
    guard self.capacity == capacity, self.dimension == dimension else {
      throw Problem(409, "queue '\(name)' exists with capacity \(self.capacity) and dim \(self.dimension)")
    }
    return self
  }

  /// How far a shared queue has followed the records.
  var progress: (version: Int, digest: Int64) { state.withLock { ($0.version, $0.digest) } }

  /// What clients carry to other replicas; nil for a queue of this process alone.
  var token: VersionToken? {
    shared.map { VersionToken(name: SharedQueues.prefix + name, epoch: $0, version: progress.version) }
  }

  /// Appends a batch as the records have it. The first one says how many rows came before it.
  func apply(_ batch: QueueBatch) {
    let count = batch.values.count / dimension
    guard let rows = Matrix(rows: count, columns: dimension, values: batch.values) else { return }
    state.withLock { state in
      if !state.hasBatch {
        state.contents = NegativeQueue(capacity: capacity, dimension: dimension, appended: batch.before)
        state.hasBatch = true
      }
      state.contents.append(rows, counting: batch.rows)
      state.version = batch.version
      state.digest = batch.digest
    }
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
