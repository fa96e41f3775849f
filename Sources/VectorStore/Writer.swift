import Dispatch
import Platform
import Synchronization

/// Puts every change of the store, in the order of their arrival, into transactions: whatever waits when the last one is done
/// goes into the next.
///
/// A change is durable, then in memory, then published, and only then answered. While one group is flushed to the disk the next
/// one gathers, so that many callers share one flush and a single caller waits for nobody.
final class Writer: Sendable {
  /// A change that a caller waits for.
  struct Pending: Sendable {
    let change: Change
    /// The collection whose points or settings it changes; nil when it makes or drops one.
    let collection: VectorCollection?
    /// The client's name for it, where other replicas may be asked for the same change.
    var key: ChangeKey?
    /// When it came, in monotonic nanoseconds.
    let since = SystemClock.monotonic
    /// Called once, on the writer's queue.
    let completion: @Sendable (Result<Committed, StoreError>) -> Void
  }

  enum Change: Sendable {
    case record(RecordChange)
    /// A change of points that follows from what the changes before it have left.
    case derived(@Sendable (CollectionSnapshot) throws(StoreError) -> RecordChange)
  }

  /// Bounds on one transaction: changes beyond them wait for the next.
  private static let mostPoints = 50_000
  private static let mostBatches = 1024
  /// How long a change is tried again while another replica holds its collection, or keeps changing what it is derived from.
  private static let patience = 10.0
  /// Between two attempts at a collection that is held.
  private static let pause = 0.02

  private struct State {
    var waiting: [Pending] = []
    var isScheduled = false
  }

  let records: any Records
  /// Those who wait for versions that are not here yet.
  let versions = VersionWaits()
  /// Transactions that have been committed.
  let commits = Atomic(0)
  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "nearfar.store.writer", qos: .userInitiated)

  init(records: any Records) {
    self.records = records
  }

  func submit(_ pending: Pending) {
    let starts = state.withLock { state in
      state.waiting.append(pending)
      defer { state.isScheduled = true }
      return !state.isScheduled
    }
    if starts { queue.async { self.runGroup() } }
  }

  /// Runs `body` between two groups, later.
  func later(_ body: @escaping @Sendable () -> Void) { queue.async(execute: body) }

  /// Runs `body` between two groups, and waits for it.
  func exclusively<Answer>(_ body: () -> Answer) -> Answer { queue.sync(execute: body) }

  /// Lets changes gather while `body` runs.
  func holding(_ body: () -> Void) {
    queue.suspend()
    defer { queue.resume() }
    body()
  }

  private func runGroup() {
    commit(admitted(takeGroup()))
    let more = state.withLock { state in
      state.isScheduled = !state.waiting.isEmpty
      return state.isScheduled
    }
    // Behind whatever else waits for the queue.
    if more { queue.async { self.runGroup() } }
  }

  /// What becomes of changes whose collections another replica holds.
  ///
  /// - Returns: groups that are to be committed now, one for each collection, where one of several is held; none where the changes
  ///   wait for another attempt, with others in between; nil when they have waited long enough.
  private func retried(_ group: [Pending]) -> [[Pending]]? {
    let ids = Set(group.map { $0.collection?.id })
    guard ids.count == 1 else { return ids.map { id in group.filter { $0.collection?.id == id } } }
    let oldest = group.map(\.since).min() ?? 0
    guard SystemClock.monotonic &- oldest < SystemClock.nanoseconds(Self.patience) else { return nil }
    queue.asyncAfter(deadline: .now() + Self.pause) { [self] in
      let starts = state.withLock { state in
        state.waiting.insert(contentsOf: group, at: 0)
        defer { state.isScheduled = true }
        return !state.isScheduled
      }
      if starts { runGroup() }
    }
    return []
  }

  private func takeGroup() -> [Pending] {
    state.withLock { state in
      var points = 0
      var taken = 0
      while taken < state.waiting.count, taken < Self.mostBatches {
        let next = state.waiting[taken]
        // It is derived from what is published, so it must be the first of its group.
        if case .derived = next.change, taken > 0 { break }
        points += next.change.points
        if taken > 0, points > Self.mostPoints { break }
        taken += 1
      }
      let group = Array(state.waiting[..<taken])
      state.waiting.removeFirst(taken)
      return group
    }
  }

  /// The changes whose points memory has room for; the others are answered. After the commit it would be too late to refuse.
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

  /// Called by ``runGroup()``, which goes on with whatever waits afterwards.
  private func commit(_ group: [Pending]) {
    var group = group
    var basis: Int?
    if let first = group.first, case .derived = first.change { basis = first.collection?.snapshot.version }
    var changes: [RecordChange] = []
    group.removeAll { pending in
      do throws(StoreError) {
        changes.append(try pending.recordChange())
        return false
      } catch {
        pending.completion(.failure(error))
        return true
      }
    }
    guard !group.isEmpty else { return }
    // Versions only grow, so that what is committed now is newer than what is here.
    let here = Dictionary(
      group.compactMap(\.collection).map { ($0.id, $0.snapshot.version) }, uniquingKeysWith: { first, _ in first })
    var results: [Result<Committed, StoreError>]
    do throws(StoreError) {
      if let shared = records as? any SharedRecords {
        results = try shared.commit(
          changes, basis: basis, keys: group.contains { $0.key != nil } ? group.map(\.key) : [])
      } else {
        results = try records.commit(changes)
      }
      precondition(results.count == group.count, "the records give every change an outcome")
      commits.add(1, ordering: .relaxed)
    } catch {
      if error == .busy, let later = retried(group) {
        for each in later { commit(each) }
        return
      }
      results = group.map { _ in .failure(error) }
    }
    // Another replica was faster: the change is derived again from the newer version, behind whatever else waits for the queue.
    if case .failure(.outdated) = results.first,
      SystemClock.monotonic &- group[0].since < SystemClock.nanoseconds(Self.patience),
      let collection = group[0].collection,
      let shared = records as? any SharedRecords, Following.catchUp(collection, shared) == .current
    {
      let again = group.removeFirst()
      changes.removeFirst()
      results.removeFirst()
      state.withLock { $0.waiting.insert(again, at: 0) }
    }
    var applying: [Int64: VectorCollection.Changing] = [:]
    for (place, pending) in group.enumerated() {
      guard let collection = pending.collection, case .success(let done) = results[place] else { continue }
      var changing = applying.removeValue(forKey: collection.id) ?? collection.beginChange()
      if let shared = records as? any SharedRecords {
        if case .changed(let version, let points, _, _, _) = done, points > 0, version <= here[collection.id] ?? 0 {
          changing.fail(VectorCollection.Changing.otherHistory)
        }
        // What others have committed before comes first.
        Following.bring(&changing, before: done, shared)
      }
      changing.apply(changes[place], done)
      applying[collection.id] = changing
    }
    // A batch that is not published must not be answered as if it were.
    for (place, pending) in group.enumerated() {
      if let collection = pending.collection, let failure = applying[collection.id]?.failure {
        results[place] = .failure(failure)
      }
    }
    for changing in applying.values { changing.publish() }
    versions.check()
    for (pending, result) in zip(group, results) { pending.completion(result) }
    for changing in applying.values { changing.collection.tidy(changed: changing.changed) }
  }
}

extension Writer.Pending {
  fileprivate func recordChange() throws(StoreError) -> RecordChange {
    switch change {
    case .record(let change): return change
    case .derived(let derive):
      guard let collection else { preconditionFailure("a derived change names its collection") }
      return try derive(collection.snapshot)
    }
  }
}

extension Writer.Change {
  /// The number of points that it writes.
  fileprivate var points: Int {
    switch self {
    case .record(.upsert(_, let points, _)): points.count
    case .record(.delete(_, let ids)): ids.count
    case .record, .derived: 0
    }
  }
}
