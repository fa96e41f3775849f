import VectorIndex

/// Where collections are kept: everything of them that is durable.
///
/// They are in a database of this process alone, or in one that several replicas share (``SharedRecords``). A collection's versions are dense and in
/// commit order: 1 for its first batch, one more for each later one. ``changes(of:after:limit:)`` gives what has changed since
/// a version; whoever applies the pages in order has an identical collection. The oldest deletions are forgotten in time, so a
/// follower that is far behind has to load the collection again.
///
/// Calls may come from any thread and return when they are done; commits come from one queue that waits for them. What the
/// records need beside commits (removing the rows of dropped collections, say) they do on their own, between the commits.
package protocol Records: AnyObject, Sendable {
  var location: RecordsLocation { get }

  /// Every write fails: the place can only be read.
  var isReadOnly: Bool { get }

  /// Every collection that has not been dropped, in the order in which they were made.
  func collections() throws(StoreError) -> [StoredCollection]

  /// Calls `body` with every point of a collection, in the order of their versions, and checks that none is damaged.
  ///
  /// - Throws: ``OpenError`` naming what is damaged or cannot be read, or what `body` throws.
  func load(_ collection: StoredCollection, _ body: (Point) throws(OpenError) -> Void) throws(OpenError)

  /// Called once, before the first commit and after every collection has been loaded and found whole. Until then nothing that
  /// is stored may change, so that whoever refuses to start leaves everything as it was.
  func beginWriting() throws(OpenError)

  /// Commits `group` in one transaction, in order; when this returns it is durable. A change that is refused leaves nothing
  /// behind and does not affect the others.
  ///
  /// - Returns: the outcome of each change.
  /// - Throws: when nothing of the group was stored.
  func commit(_ group: [RecordChange]) throws(StoreError) -> [Result<Committed, StoreError>]

  /// What has changed after `version`: at least one whole batch, and no further one once there are `limit` points and
  /// deletions.
  ///
  /// - Throws: ``StoreError/tooOld(oldest:)`` when deletions after `version` have been forgotten.
  func changes(of collection: Int64, after version: Int, limit: Int) throws(StoreError) -> ChangePage

  /// Makes everything durable and lets go of the place; later calls fail.
  func close()
}

/// Where records are kept, as people and monitoring are told.
public struct RecordsLocation: Sendable, Equatable, CustomStringConvertible {
  /// The kind of place, as a label in `/metrics`: `memory`, `folder` or `postgresql`.
  public let kind: String
  /// The place itself, as in `/info`: `:memory:`, the path of the folder, or the database without its password.
  public let description: String
  /// A folder that only this process writes while the records are open, for what can be made again from them: saved graphs,
  /// mapped rows. nil when there is none.
  package let folder: String?

  package init(kind: String, description: String, folder: String?) {
    self.kind = kind
    self.description = description
    self.folder = folder
  }
}

/// A collection as the records have it.
package struct StoredCollection: Sendable, Equatable {
  /// Never used again for another collection.
  package let id: Int64
  package var name: String
  package let dimension: Int
  package let metric: Metric
  /// The fingerprint of the model that embedded the collection's texts.
  package var model: String?
  /// nil where the default applies.
  package var recallTarget: RecallTarget?
  package var version: Int
  /// Points.
  package var count: Int
  /// Over all changes up to the version, in shared records; 0 elsewhere.
  package var digest: Int64

  package init(
    id: Int64, name: String, dimension: Int, metric: Metric, model: String? = nil, recallTarget: RecallTarget? = nil,
    version: Int = 0, count: Int = 0, digest: Int64 = 0
  ) {
    self.id = id
    self.name = name
    self.dimension = dimension
    self.metric = metric
    self.model = model
    self.recallTarget = recallTarget
    self.version = version
    self.count = count
    self.digest = digest
  }
}

/// One change that a caller wants stored.
package enum RecordChange: Sendable {
  case create(name: String, dimension: Int, metric: Metric, recallTarget: RecallTarget?)
  case drop(collection: Int64)
  /// nil for the default.
  case retarget(collection: Int64, recallTarget: RecallTarget?)
  /// Points that have been checked; `model` is the fingerprint of the model that embedded texts of the batch.
  case upsert(collection: Int64, points: [Point], model: String?)
  case delete(collection: Int64, ids: [String])
}

/// The outcome of a change that was stored.
package enum Committed: Sendable {
  case created(StoredCollection)
  case dropped
  case retargeted
  /// The version that holds the batch, or the current one when it changed nothing; the number of points that it changed; the
  /// collection's model; the digest as in ``StoredCollection``, and as it was before the batch.
  case changed(version: Int, points: Int, model: String?, digest: Int64 = 0, before: Int64 = 0)
  /// A change with the same key was stored before, as this version, and has changed so many points; nothing was done now. `answer`
  /// is what was stored with it.
  case repeated(version: Int, points: Int, answer: [UInt8]? = nil)
}
