import VectorIndex

/// Where collections are kept: what is durable of them, behind an interface that is narrow enough for a server of records
/// (PostgreSQL, say) that several replicas follow.
///
/// A collection's versions are dense and in commit order: 1 for its first batch, one more for each further one. From any
/// version on, ``changes(of:after:limit:)`` tells what is different; whoever applies the pages in order has an identical
/// collection. Of deletions the oldest are forgotten in time, so a follower that is far behind loads anew. One caller at a time.
protocol Records: Sendable {
  /// Every collection, dropped ones left out.
  func collections() throws(StoreError) -> [StoredCollection]

  /// Commits `group` in one transaction, in order; when this returns it is durable. A change that is refused leaves nothing
  /// behind and does not touch the others.
  ///
  /// - Returns: for each change what became of it.
  /// - Throws: when nothing of the group was stored.
  func commit(_ group: [RecordChange]) throws(StoreError) -> [Result<Committed, StoreError>]

  /// Calls `body` with every point of a collection, in the order of their versions; checks that nothing is damaged.
  ///
  /// - Throws: ``OpenError`` naming what is damaged.
  func load(_ collection: StoredCollection, _ body: (Point) throws(OpenError) -> Void) throws(OpenError)

  /// What changed after `version`, at least one whole batch and no more once `limit` points are reached.
  ///
  /// - Throws: ``StoreError/tooOld(oldest:)`` for a version from which on deletions are not all remembered.
  func changes(of collection: Int64, after version: Int, limit: Int) throws(StoreError) -> ChangePage

  /// Whether rows of dropped collections are there still.
  var hasRemnants: Bool { get }

  /// Deletes some rows of a dropped collection in a transaction of its own, which is short.
  ///
  /// - Returns: whether there are more.
  func sweep() throws(StoreError) -> Bool

  /// Commits a number that is one higher than the last; what was committed before is then durable, too.
  func advanceMark() throws(StoreError) -> Int64

  /// Flushes and closes; later calls fail.
  func close()
}

/// A collection as it is kept.
struct StoredCollection: Sendable, Equatable {
  /// Never used again for another collection.
  let id: Int64
  var name: String
  let dimension: Int
  let metric: Metric
  var model: String?
  /// nil where the default holds.
  var recallTarget: RecallTarget?
  var version: Int64 = 0
  var count: Int64 = 0
  /// The sum of its rows' checksums, modulo 2^64: a row that is lost, doubled or old is found by it.
  var digest: Int64 = 0
  /// Remembered deletions. Counted while loading.
  var tombstones: Int64 = 0
  /// The newest version of which a deletion may be forgotten; 0 while all are remembered. Found while loading.
  var horizon: Int64 = 0
}

extension StoredCollection {
  /// Before the id, in the name that a dropped collection has until its rows are gone.
  private static let droppedMark = ":dropped:"

  var isDropped: Bool { name.hasPrefix(Self.droppedMark) }

  /// As it is kept once it is dropped: its own name is free, and it has no recall target.
  var asDropped: StoredCollection {
    var dropped = self
    dropped.name = "\(Self.droppedMark)\(id)"
    dropped.recallTarget = nil
    return dropped
  }
}

/// One change that a caller wants stored.
enum RecordChange: Sendable {
  case create(name: String, dimension: Int, metric: Metric, recallTarget: RecallTarget?)
  case drop(collection: Int64)
  /// nil for the default.
  case retarget(collection: Int64, recallTarget: RecallTarget?)
  /// Checked points; `model` is what embedded texts of the batch.
  case upsert(collection: Int64, points: [Point], model: String?)
  case delete(collection: Int64, ids: [String])
}

/// What became of a change.
enum Committed: Sendable {
  case created(StoredCollection)
  case dropped
  case retargeted
  /// The version that holds the batch, or the current one when it changed nothing; the points it changed; the model.
  case changed(version: Int, points: Int, model: String?)
}

/// What changed in a collection from one version to another. A point that changed several times stands here once, as it is at
/// the end, in the batch that changed it last.
public struct ChangePage: Sendable, Equatable {
  /// One batch, as far as later ones have left it.
  public struct Batch: Sendable, Equatable {
    public let version: Int
    public internal(set) var upserts: [Point] = []
    public internal(set) var deletes: [String] = []
  }

  /// In the order of their versions; versions of which nothing is left are passed over.
  public let batches: [Batch]
  /// The version that whoever has applied the page may go on from.
  public let through: Int
  /// Whether that is the collection's newest.
  public let isComplete: Bool
  /// The model of the collection's newest version.
  public let model: String?
}
