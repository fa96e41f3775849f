import Contrastive
import SimilarityCore
import Synchronization

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

  /// To be called from within a turn.
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
