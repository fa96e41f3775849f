import SimilarityCore
import VectorIndex

/// How a database keeps the vectors that its index compares; the f32 values themselves are kept beside them.
package enum DatabaseStorage: String, Sendable, CaseIterable {
  /// 16 bits per value.
  case halfvec
  /// 32 bits per value.
  case vector

  /// The longest vectors that an index may have.
  package var mostDimensions: Int { self == .halfvec ? 4000 : 2000 }
}

/// A collection that stays in the database: nothing of it but this is in memory.
package struct DatabaseCollection: Sendable, Equatable {
  /// Never used again for another collection.
  package let id: Int64
  package let name: String
  package let dimension: Int
  package let metric: Metric
  package let storage: DatabaseStorage

  package init(id: Int64, name: String, dimension: Int, metric: Metric, storage: DatabaseStorage) {
    self.id = id
    self.name = name
    self.dimension = dimension
    self.metric = metric
    self.storage = storage
  }

  /// What whoever sees this version has seen.
  package func token(_ version: Int) -> VersionToken { VersionToken(name: name, epoch: id, version: version) }
}

/// What changes of such a collection, as the database had it at one moment.
package struct DatabaseState: Sendable, Equatable {
  /// The fingerprint of the model that embedded its texts; nil while it has been given vectors only.
  package var model: String?
  /// The collection's own; nil where the default applies.
  package var ownRecallTarget: RecallTarget?
  /// The number of batches that have changed the collection.
  package var version: Int
  /// Points.
  package var count: Int

  package init(model: String?, recallTarget: RecallTarget?, version: Int, count: Int) {
    self.model = model
    ownRecallTarget = recallTarget
    self.version = version
    self.count = count
  }

  /// The recall@10 of searches that ask for none.
  package var recallTarget: Double { ownRecallTarget?.value ?? IndexOptions().recallTarget }
}

/// What of points is read beside their ids.
package struct PointParts: Sendable {
  package var vector: Bool
  package var text: Bool
  package var metadata: Bool

  package init(vector: Bool, text: Bool, metadata: Bool) {
    self.vector = vector
    self.text = text
    self.metadata = metadata
  }

  package static let all = PointParts(vector: true, text: true, metadata: true)
}

/// Points of one state of a collection, in the order of their ids' bytes.
package protocol PointPages: Sendable {
  /// At most `limit` points whose ids come after `after`.
  ///
  /// - Parameter withVectors: whether their vectors are needed.
  func page(after: String?, limit: Int, withVectors: Bool) throws(StoreError) -> [Point]
}

extension CollectionSnapshot: PointPages {
  package func page(after: String?, limit: Int, withVectors: Bool) throws(StoreError) -> [Point] {
    points(after: after, limit: limit)
  }
}

/// One state of a collection, which the database keeps for as long as this is held.
package protocol DatabaseSnapshot: PointPages, AnyObject {
  var collection: DatabaseCollection { get }
  var state: DatabaseState { get }
}

/// Collections in a database, for those that are larger than memory.
///
/// All functions but ``find(_:)``, ``seen``, ``submit(_:)`` and ``begin(_:_:in:_:_:)`` block until the database has answered, and are to be called from what is
/// passed to ``submit(_:)``. They throw ``StoreError/unknownCollection(_:)`` when the collection has been dropped, and
/// ``StoreError/unavailable(_:)`` when the database does not answer.
package protocol DatabaseEngine: AnyObject, Sendable {
  /// The collection of that name, as of the last look at the database.
  func find(_ name: String) -> DatabaseCollection?

  /// Every collection, in the order of their names, as of the last look.
  var seen: [(collection: DatabaseCollection, state: DatabaseState)] { get }

  /// Runs `work` on a thread of its own, where it may wait for the database.
  ///
  /// - Returns: false when too much waits already; `work` is not run then.
  func submit(_ work: @escaping @Sendable () -> Void) -> Bool

  /// Makes a collection, or finds the one that has this name.
  ///
  /// - Parameter storage: nil leaves that of an existing collection as it is, and means ``DatabaseStorage/halfvec`` for a new one.
  /// - Throws: ``StoreError/conflict(_:)`` when there is another one of that name, ``StoreError/unsupported(_:)`` when the database
  ///   has no index of vectors.
  func create(
    _ name: String, dimension: Int, metric: Metric, recallTarget: RecallTargetChange, storage: DatabaseStorage?
  ) throws(StoreError) -> (collection: DatabaseCollection, state: DatabaseState, created: Bool)

  func drop(_ collection: DatabaseCollection) throws(StoreError)

  func state(of collection: DatabaseCollection) throws(StoreError) -> DatabaseState

  /// Inserts points, replacing those with the same id; all of them or none.
  ///
  /// - Parameters:
  ///   - model: the fingerprint of the model that embedded texts of the batch.
  ///   - key: the client's name for the change: one that was stored under it is not stored again, and the outcome is the first one's.
  /// - Returns: the version that holds them.
  func upsert(
    _ points: [Point], model: String?, key: ChangeKey?, into collection: DatabaseCollection
  ) throws(StoreError) -> Int

  /// Changes the metadata of those points that exist, in one batch.
  func change(
    _ changes: [MetadataChange], _ mode: MetadataChange.Mode, key: ChangeKey?, in collection: DatabaseCollection
  ) throws(StoreError) -> (version: Int, updated: Int, missing: [String])

  func delete(
    _ choice: PointChoice, key: ChangeKey?, from collection: DatabaseCollection
  ) throws(StoreError) -> (version: Int, deleted: Int)

  /// The points with these ids, in no order; ids that no point has are left out.
  func points(
    _ ids: [String], of collection: DatabaseCollection, _ parts: PointParts
  ) throws(StoreError) -> (state: DatabaseState, points: [Point])

  /// At most `limit` points that the filter matches and whose ids come after `after`, in the order of their ids' bytes.
  func points(
    of collection: DatabaseCollection, matching filter: Filter?, after: String?, limit: Int, _ parts: PointParts
  ) throws(StoreError) -> (state: DatabaseState, points: [Point])

  func count(of collection: DatabaseCollection, matching filter: Filter?) throws(StoreError) -> (
    version: Int, count: Int
  )

  /// The points nearest to each row of `queries`.
  ///
  /// - Parameter parts: what is wanted of the neighbours; their vectors are read in any case.
  /// - Throws: ``StoreError`` naming the row of a query that cannot be compared.
  func nearest(
    to queries: Matrix, _ search: NeighborSearch, in collection: DatabaseCollection, _ parts: PointParts
  ) throws(StoreError) -> (state: DatabaseState, found: NeighborResult)

  /// Begins the search of ``nearest(to:_:in:_:)`` for one query at once, where that needs no waiting: then the database works on it while
  /// a thread is woken for the answer. Does not block.
  ///
  /// - Parameter completion: called on a thread where it may wait for the database.
  /// - Returns: false where that is not possible; nothing was done then, and `completion` is not called.
  func begin(
    _ query: Matrix, _ search: NeighborSearch, in collection: DatabaseCollection, _ parts: PointParts,
    _ completion: @escaping @Sendable (Result<(state: DatabaseState, found: NeighborResult), StoreError>) -> Void
  ) -> Bool

  /// The collection as it is now.
  func snapshot(of collection: DatabaseCollection) throws(StoreError) -> any DatabaseSnapshot
}

/// Which points a deletion takes.
package enum PointChoice: Sendable {
  case ids([String])
  case matching(Filter)
}

/// Records that can keep collections in their database.
package protocol DatabaseRecords: SharedRecords {
  var engine: any DatabaseEngine { get }
}

extension DatabaseEngine {
  /// How far a collection was seen to be.
  func standing(_ name: String) -> VersionToken? {
    seen.first { $0.collection.name == name }.map { $0.collection.token($0.state.version) }
  }
}

extension CollectionStore {
  /// The collections that stay in the database; nil where the records are in none.
  package var database: (any DatabaseEngine)? { (writer.records as? any DatabaseRecords)?.engine }
}
