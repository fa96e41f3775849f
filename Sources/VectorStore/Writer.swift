import Dispatch
import Synchronization

/// The one that writes: whatever waits when it is free goes into one transaction.
///
/// A change is durable, then in memory, then published, and only then answered. While one group is flushed to the disk the
/// next one gathers, so that many callers share one flush and a single caller waits for nobody.
final class Writer: Sendable {
  /// What a caller waits for.
  struct Pending: Sendable {
    let change: Change
    /// The collection that a batch is for.
    let collection: Collection?
    /// Called once, on the writer's queue.
    let completion: @Sendable (Result<Committed, StoreError>) -> Void
  }

  enum Change: Sendable {
    case record(RecordChange)
    /// Deletes what the filter matches once the changes before it are done.
    case deleteMatching(Filter)
  }

  /// Bounds on a transaction: what gathers beyond them waits for the next.
  private static let mostPoints = 50_000
  private static let mostBatches = 1024

  struct State {
    var waiting: [Pending] = []
    var isScheduled = false
    var isSweeping = false
    /// There are commits that nobody has noted.
    var isNoteDue = false
  }

  let records: any Records
  let state = Mutex(State())
  let queue = DispatchQueue(label: "nearfar.store.writer", qos: .userInitiated)

  /// Where flushed commits are noted.
  let mark: CommitMark?

  init(records: any Records, mark: CommitMark? = nil) {
    self.records = records
    self.mark = mark
  }

  func submit(_ pending: Pending) {
    let starts = state.withLock { state in
      state.waiting.append(pending)
      defer { state.isScheduled = true }
      return !state.isScheduled
    }
    if starts { queue.async { self.runGroup() } }
  }

  /// As ``submit(_:)``, and waits for the answer. Not to be called from a completion.
  ///
  /// - Parameter before: sees the result on the writer's queue, before a later change runs.
  func perform(
    _ change: Change, for collection: Collection?,
    before: @escaping @Sendable (Result<Committed, StoreError>) -> Void = { _ in }
  ) throws(StoreError) -> Committed {
    let slot = AnswerSlot()
    submit(
      Pending(change: change, collection: collection) { result in
        before(result)
        slot.put(result)
      })
    return try slot.wait().get()
  }

  /// Runs `body` between two groups.
  func exclusively<Answer: Sendable>(_ body: @Sendable (any Records) -> Answer) -> Answer {
    queue.sync { body(records) }
  }

  /// Lets changes gather while `body` runs.
  func holding(_ body: () -> Void) {
    queue.suspend()
    defer { queue.resume() }
    body()
  }

  /// Deletes what dropped collections left, a piece between two groups, until nothing is left or it cannot be done.
  func sweep() {
    let starts = state.withLock { state in
      defer { state.isSweeping = true }
      return !state.isSweeping
    }
    if starts { queue.async { self.sweepPiece() } }
  }

  private func sweepPiece() {
    // What fails is tried again behind the next group.
    let more = (try? records.sweep()) ?? false
    if more { queue.async { self.sweepPiece() } } else { state.withLock { $0.isSweeping = false } }
  }

  private func runGroup() {
    commit(admitted(takeGroup()))
    if records.hasRemnants { sweep() }
    let more = state.withLock { state in
      state.isScheduled = !state.waiting.isEmpty
      return state.isScheduled
    }
    // Behind what else waits for the queue.
    if more { queue.async { self.runGroup() } }
  }

  private func takeGroup() -> [Pending] {
    state.withLock { state in
      var points = 0
      var taken = 0
      while taken < state.waiting.count, taken < Self.mostBatches {
        let next = state.waiting[taken]
        // A filter looks at what is published, so that it begins a group.
        if case .deleteMatching = next.change, taken > 0 { break }
        points += next.change.points
        if taken > 0, points > Self.mostPoints { break }
        taken += 1
      }
      let group = Array(state.waiting[..<taken])
      state.waiting.removeFirst(taken)
      return group
    }
  }

  /// Those whose points memory has room for; the others are answered. After the commit it would be too late to refuse.
  private func admitted(_ group: [Pending]) -> [Pending] {
    var points: [Int64: Int] = [:]
    return group.filter { pending in
      guard let collection = pending.collection, case .record(.upsert) = pending.change else { return true }
      let total = (points[collection.id] ?? 0) + pending.change.points
      if let refusal = collection.reserve(total) {
        pending.completion(.failure(refusal))
        return false
      }
      points[collection.id] = total
      return true
    }
  }

  private func commit(_ group: [Pending]) {
    guard !group.isEmpty else { return }
    let changes = group.map { pending in
      switch pending.change {
      case .record(let change): change
      case .deleteMatching(let filter):
        RecordChange.delete(
          collection: pending.collection?.id ?? 0, ids: pending.collection?.snapshot.ids(matching: filter) ?? [])
      }
    }
    var results: [Result<Committed, StoreError>]
    do throws(StoreError) {
      results = try records.commit(changes)
      noteCommitsSoon()
    } catch {
      results = group.map { _ in .failure(error) }
    }
    var applying: [Int64: Collection.Changing] = [:]
    for (place, pending) in group.enumerated() {
      guard let collection = pending.collection, place < results.count, case .success(let done) = results[place] else {
        continue
      }
      var changing = applying.removeValue(forKey: collection.id) ?? collection.beginChange()
      changing.apply(changes[place], done)
      applying[collection.id] = changing
    }
    // Whatever of a collection is not published is not answered as if it were.
    for (place, pending) in group.enumerated() {
      if let collection = pending.collection, let failure = applying[collection.id]?.failure {
        results[place] = .failure(failure)
      }
    }
    for changing in applying.values { changing.publish() }
    for (pending, result) in zip(group, results) { pending.completion(result) }
    for changing in applying.values { changing.collection.tidy(changed: changing.changed) }
  }
}

extension Writer.Change {
  /// Points that it writes.
  fileprivate var points: Int {
    switch self {
    case .record(.upsert(_, let points, _)): points.count
    case .record(.delete(_, let ids)): ids.count
    case .record, .deleteMatching: 0
    }
  }
}
