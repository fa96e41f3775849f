import Platform
import Synchronization
import VectorIndex

/// A named set of points with one dimension and one metric.
///
/// Searches work on a snapshot: they never wait for a write and never see half of a batch. When a write is answered it is
/// durable, and every snapshot taken from then on has it.
public final class VectorCollection: Sendable {
  public let name: String
  public let dimension: Int
  public let metric: Metric
  /// Never used again for another collection of the same records.
  package let id: Int64
  /// Tells this collection from earlier and later ones of its name. In memory alone, where numbers begin anew with each process, it
  /// begins at a number that is drawn for the process.
  public let epoch: Int64
  let index: VectorIndex
  private let writer: Writer
  private let state: Mutex<State>
  let savedGraph: SavedGraph
  /// Points that have changed since freed memory was given back.
  private let untidied = Atomic(0)

  private struct State {
    var snapshot: CollectionSnapshot
    /// Why memory is behind the records; nil while it is not.
    var stale: StoreError?
  }

  init(
    _ stored: StoredCollection, epoch: Int64, index: VectorIndex, snapshot: CollectionSnapshot, writer: Writer,
    savedGraph: SavedGraph
  ) {
    self.epoch = epoch
    name = stored.name
    dimension = stored.dimension
    metric = stored.metric
    id = stored.id
    self.index = index
    self.writer = writer
    self.savedGraph = savedGraph
    state = Mutex(State(snapshot: snapshot))
  }

  /// The collection as it is now; later writes do not change it.
  public var snapshot: CollectionSnapshot { state.withLock { $0.snapshot } }

  /// Why no further write is possible; nil while writes are.
  var stale: StoreError? { state.withLock { $0.stale } }

  /// Whether the search graph is whole.
  package var graphReport: GraphReport { index.validate() }

  // MARK: Writing

  /// Inserts `points`, replacing those with the same id; all of them or none.
  ///
  /// - Parameters:
  ///   - model: the fingerprint of the model that embedded texts of this batch, which the collection remembers.
  ///   - key: the client's name for the change, where replicas share the records: a change that was stored under it is not stored
  ///     again, and the answer is the first one's.
  ///   - completion: called once, on this thread or on the writer's, which it must not block: with the version that holds the
  ///     points once they are durable, or with the error, which names the first point that cannot be stored if that is why.
  public func upsert(
    _ points: [Point], model: String? = nil, key: ChangeKey? = nil,
    completion: @escaping @Sendable (Result<Int, StoreError>) -> Void
  ) {
    do throws(StoreError) {
      try check(points)
    } catch {
      return completion(.failure(error))
    }
    submit(.record(.upsert(collection: id, points: points, model: model)), key) { completion($0.map(\.version)) }
  }

  /// Removes the points with these ids; unknown ids are skipped. `completion` as in ``upsert(_:model:completion:)``.
  public func delete(
    _ ids: [String], key: ChangeKey? = nil,
    completion: @escaping @Sendable (Result<(version: Int, deleted: Int), StoreError>) -> Void
  ) {
    submit(.record(.delete(collection: id, ids: ids)), key, completion)
  }

  /// Removes the points whose metadata `filter` matches. `completion` as in ``upsert(_:model:completion:)``.
  public func delete(
    where filter: Filter, key: ChangeKey? = nil,
    completion: @escaping @Sendable (Result<(version: Int, deleted: Int), StoreError>) -> Void
  ) {
    let id = id
    submit(.derived { .delete(collection: id, ids: $0.ids(matching: filter)) }, key, completion)
  }

  func submit(
    _ change: Writer.Change, _ key: ChangeKey?,
    _ completion: @escaping @Sendable (Result<(version: Int, deleted: Int), StoreError>) -> Void
  ) {
    if let stale { return completion(.failure(stale)) }
    writer.submit(
      Writer.Pending(change: change, collection: self, key: key) { result in
        completion(
          result.map { committed in
            switch committed {
            case .changed(let version, let points, _, _, _), .repeated(let version, let points, _): (version, points)
            case .created, .dropped, .retargeted: preconditionFailure("a batch of points is committed as one")
            }
          })
      })
  }

  /// Changes the recall of searches that ask for none. `completion` is called as in ``upsert(_:model:completion:)``; every
  /// snapshot taken from then on has the new target. The version stays the same, since no point has changed.
  public func change(
    _ recallTarget: RecallTargetChange, completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
  ) {
    let target: RecallTarget?
    switch recallTarget {
    case .keep: return completion(.success(()))
    case .reset: target = nil
    case .set(let wanted): target = wanted
    }
    guard target != snapshot.ownRecallTarget else { return completion(.success(())) }
    if let stale { return completion(.failure(stale)) }
    let change = Writer.Change.record(.retarget(collection: id, recallTarget: target))
    writer.submit(Writer.Pending(change: change, collection: self) { completion($0.map { _ in }) })
  }

  private func check(_ points: [Point]) throws(StoreError) {
    if let stale { throw stale }
    try PointCheck.check(points, dimension: dimension, metric: metric)
  }

  // MARK: Changes since a version

  /// What has changed after `version`, in whole batches and in their order: applied to a copy of that version, page after
  /// page, it makes the copy identical. Blocks while it is read.
  ///
  /// - Parameter limit: points and deletions after which a page ends.
  /// - Throws: ``StoreError/tooOld(oldest:)`` when deletions after `version` have been forgotten: take a ``snapshot`` as a whole
  ///   and go on from its version.
  public func changes(after version: Int, limit: Int) throws(StoreError) -> ChangePage {
    try writer.records.changes(of: id, after: version, limit: limit)
  }

  // MARK: Taking committed batches into memory

  /// Makes room in memory for `count` more points.
  ///
  /// - Returns: why that is not possible; nil when it is.
  func reserve(_ count: Int) -> StoreError? {
    do throws(IndexError) {
      try index.reserve(count)
      return nil
    } catch {
      return StoreError(error)
    }
  }

  func beginChange() -> Changing { Changing(self) }

  /// Batches on their way from the records into memory. On the writer's queue.
  struct Changing {
    let collection: VectorCollection
    private var snapshot: CollectionSnapshot
    /// Why memory does not have the batches.
    private(set) var failure: StoreError?
    /// The number of points that have changed.
    private(set) var changed = 0

    init(_ collection: VectorCollection) {
      self.collection = collection
      (snapshot, failure) = collection.state.withLock { ($0.snapshot, $0.stale) }
    }

    mutating func apply(_ change: RecordChange, _ done: Committed) {
      if case .retarget(_, let target) = change, case .retargeted = done { return retarget(target) }
      guard failure == nil, case .changed(let version, let points, let model, let digest, let before) = done,
        // What is not newer is in already: it came with the changes of other replicas.
        version > snapshot.version
      else {
        return
      }
      guard before == snapshot.digest else { return fail(Self.otherHistory) }
      do throws(IndexError) {
        switch change {
        case .upsert(_, let points, _): try snapshot.insert(points, into: collection.index)
        case .delete(_, let ids): try snapshot.remove(ids, from: collection.index)
        case .create, .drop, .retarget: preconditionFailure("only a batch of points is committed as one")
        }
        snapshot.version = version
        snapshot.model = model
        snapshot.digest = digest
        changed += points
      } catch {
        // The records have the batch and memory cannot take it in: what is published stays right for its version, and no batch
        // may follow.
        failure = .unavailable(
          "the collection needs a restart: a stored batch could not be taken into memory: \(StoreError(error))")
      }
    }

    /// Applies a batch that another replica has written. The caller has made room for its points.
    mutating func apply(_ batch: ChangePage.Batch, model: String?) {
      guard failure == nil else { return }
      do throws(IndexError) {
        if !batch.upserts.isEmpty { try snapshot.insert(batch.upserts, into: collection.index) }
        if !batch.deletes.isEmpty { try snapshot.remove(batch.deletes, from: collection.index) }
        snapshot.version = batch.version
        snapshot.model = model
        snapshot.digest = batch.digest ?? 0
        changed += batch.upserts.count + batch.deletes.count
      } catch {
        failure = .unavailable(
          "the collection is loaded again: a batch could not be taken into memory: \(StoreError(error))")
      }
    }

    /// Takes over a recall target that another replica has set.
    mutating func follow(recallTarget: RecallTarget?) {
      if recallTarget != snapshot.ownRecallTarget { retarget(recallTarget) }
    }

    /// The version that has been reached.
    var version: Int { snapshot.version }
    var digest: Int64 { snapshot.digest }

    /// A database server that took over after a failure lacks changes that are here, and has gone on without them.
    static let otherHistory = StoreError.unavailable(
      "the write is stored, but the database has gone back to an earlier state: the collection is loaded again")

    /// Memory cannot follow the records any more; `reason` says why.
    mutating func fail(_ reason: StoreError) { failure = failure ?? reason }

    private mutating func retarget(_ target: RecallTarget?) {
      guard failure == nil else { return }
      collection.index.setRecallTarget(target?.value)
      snapshot.vectors = collection.index.snapshot
      snapshot.ownRecallTarget = target
    }

    func publish() {
      collection.state.withLock { state in
        if failure == nil { state.snapshot = snapshot } else { state.stale = failure }
      }
    }
  }

  /// Ends the use of this object: the collection has been loaded anew, and another object stands for it. Searches that run go on.
  func retire() {
    state.withLock {
      $0.stale = .unavailable("the collection has just been loaded anew; the same request succeeds now")
    }
  }

  /// After a write: saves the graph once so much has changed that a kill would cost a long start, and gives back freed memory.
  /// On the writer's queue.
  func tidy(changed: Int) {
    let unsaved = savedGraph.add(changed: changed)
    let isSaved = unsaved >= 10_000 && unsaved > snapshot.count / 5
    if isSaved { saveGraph() }
    let changed = untidied.add(changed, ordering: .relaxed).newValue
    // Saving puts the whole graph together in memory first.
    if isSaved || changed > Self.bytesPerTidying / (4 * dimension) {
      untidied.store(0, ordering: .relaxed)
      HeapMemory.giveBack()
      // The request whose points were written still holds memory.
      HeapMemory.giveBackSoon()
    }
  }

  /// Bytes of vectors after which freed memory is given back.
  private static let bytesPerTidying = 12 << 20
}
