import Synchronization
import VectorIndex

/// A named set of points with one dimension and one metric.
///
/// Searches work on a snapshot: they never wait for a write to finish and never see half a batch. When a write is answered it
/// is durable, and every snapshot taken from then on has it.
public final class Collection: Sendable {
  public let name: String
  public let dimension: Int
  public let metric: Metric
  /// Never used again for another collection of the same data.
  package let id: Int64
  let index: VectorIndex
  let state: Mutex<State>
  private let writer: Writer
  let graphFile: GraphFile?
  let saved: Mutex<SavedGraph>
  /// Points that changed since freed memory was given back.
  let untidied = Atomic(0)

  struct State {
    var snapshot: CollectionSnapshot
    /// Why memory is behind the records; nil while it is not.
    var stale: StoreError?
  }

  struct SavedGraph {
    /// The version of the graph in the file; nil when there is none.
    var version: Int?
    /// Points that changed since.
    var changed = 0
  }

  /// - Parameter graph: where the graph is from.
  init(
    _ stored: StoredCollection, index: VectorIndex, snapshot: CollectionSnapshot, writer: Writer,
    graphFile: GraphFile? = nil, graph: GraphOrigin = .none
  ) {
    name = stored.name
    dimension = stored.dimension
    metric = stored.metric
    id = stored.id
    self.index = index
    self.writer = writer
    self.graphFile = graphFile
    if case .saved(let version, let added) = graph {
      // What had to be caught up counts: a process that is killed again and again still saves in time.
      saved = Mutex(SavedGraph(version: version, changed: added))
    } else {
      saved = Mutex(SavedGraph())
    }
    state = Mutex(State(snapshot: snapshot))
  }

  /// The collection as it stands now; later writes do not touch it.
  public var snapshot: CollectionSnapshot { state.withLock { $0.snapshot } }

  /// Inserts `points`, replacing those with the same id; all of them or none.
  ///
  /// - Parameters:
  ///   - model: the fingerprint of the model that embedded texts of this batch, remembered by the collection.
  ///   - completion: called once, on this thread or on the writer's, which it must not keep: with the version that holds the
  ///     points once they are durable, or with the error, naming the first point that cannot be stored where that is why.
  public func upsert(
    _ points: [Point], model: String? = nil, completion: @escaping @Sendable (Result<Int, StoreError>) -> Void
  ) {
    do throws(StoreError) {
      try check(points)
    } catch {
      return completion(.failure(error))
    }
    let change = Writer.Change.record(.upsert(collection: id, points: points, model: model))
    writer.submit(Writer.Pending(change: change, collection: self) { completion($0.map(\.batch.version)) })
  }

  /// Removes the points with these ids; ids that are not there are passed over. `completion` as in
  /// ``upsert(_:model:completion:)``.
  public func delete(
    _ ids: [String], completion: @escaping @Sendable (Result<(version: Int, deleted: Int), StoreError>) -> Void
  ) {
    submit(.record(.delete(collection: id, ids: ids)), completion)
  }

  /// Removes the points whose metadata `filter` matches. `completion` as in ``upsert(_:model:completion:)``.
  public func delete(
    where filter: Filter, completion: @escaping @Sendable (Result<(version: Int, deleted: Int), StoreError>) -> Void
  ) {
    submit(.deleteMatching(filter), completion)
  }

  private func submit(
    _ change: Writer.Change,
    _ completion: @escaping @Sendable (Result<(version: Int, deleted: Int), StoreError>) -> Void
  ) {
    if let stale { return completion(.failure(stale)) }
    writer.submit(
      Writer.Pending(change: change, collection: self) { completion($0.map { ($0.batch.version, $0.batch.points) }) })
  }

  /// Changes the recall that searches have which ask for none. Waits until it is durable; every snapshot taken from then on
  /// has it. The version stays: no point has changed.
  public func change(_ recallTarget: RecallTargetChange) throws(StoreError) {
    let target: RecallTarget?
    switch recallTarget {
    case .keep: return
    case .reset: target = nil
    case .set(let wanted): target = wanted
    }
    guard target != snapshot.ownRecallTarget else { return }
    if let stale { throw stale }
    _ = try writer.perform(.record(.retarget(collection: id, recallTarget: target)), for: self)
  }

  /// What changed after `version`, in whole batches and their order: applied to a copy of that version, page after page, it
  /// makes the copy identical.
  ///
  /// - Parameter limit: points and deletions after which a page ends.
  /// - Throws: ``StoreError/tooOld(oldest:)`` when deletions after `version` are forgotten: take a ``snapshot`` whole and go on
  ///   from its version.
  public func changes(after version: Int, limit: Int) throws(StoreError) -> ChangePage {
    let id = id
    let page = writer.exclusively { records -> Result<ChangePage, StoreError> in
      do throws(StoreError) {
        return .success(try records.changes(of: id, after: version, limit: limit))
      } catch {
        return .failure(error)
      }
    }
    return try page.get()
  }

  /// Why nothing more can be written.
  var stale: StoreError? { state.withLock { $0.stale } }

  private func check(_ points: [Point]) throws(StoreError) {
    if let stale { throw stale }
    for (row, point) in points.enumerated() {
      guard point.vector.count == dimension else {
        throw .dimension(row: row, expected: dimension, found: point.vector.count)
      }
      guard point.vector.allSatisfy(\.isFinite) else { throw .notFinite(row: row) }
      guard metric != .cosine || point.vector.contains(where: { $0 != 0 }) else { throw .zeroVector(row: row) }
    }
    if let row = IDBytes.firstRepeated(points.count, id: { points[$0].id }) { throw .duplicateID(row: row) }
  }
}

extension Committed {
  fileprivate var batch: (version: Int, points: Int) {
    if case .changed(let version, let points, _) = self { return (version, points) }
    return (0, 0)
  }
}
