/// What has changed in a collection from one version to another. A point that changed several times appears once, as it is at
/// the end, in the batch that changed it last.
public struct ChangePage: Sendable, Equatable {
  /// What later batches have left of one batch.
  public struct Batch: Sendable, Equatable {
    public let version: Int
    public internal(set) var upserts: [Point] = []
    public internal(set) var deletes: [String] = []
    /// The digest over all changes up to this one; nil where none is kept.
    package var digest: Int64?

    package init(version: Int, upserts: [Point] = [], deletes: [String] = [], digest: Int64? = nil) {
      self.version = version
      self.upserts = upserts
      self.deletes = deletes
      self.digest = digest
    }
  }

  /// In the order of their versions; versions of which nothing is left are skipped.
  public let batches: [Batch]
  /// The version to ask for next, once the page has been applied.
  public let through: Int
  /// Whether that is the collection's newest version.
  public let isComplete: Bool
  /// The model of the collection's newest version.
  public let model: String?
  /// The digest of the version before the first batch; nil where it is not known.
  package let base: Int64?

  init(batches: [Batch], through: Int, isComplete: Bool, model: String?, base: Int64? = nil) {
    self.base = base
    self.batches = batches
    self.through = through
    self.isComplete = isComplete
    self.model = model
  }

  /// A page of batches of which none is left out.
  ///
  /// - Parameters:
  ///   - newest: the collection's version.
  ///   - after: the version before the first batch, and its digest, as far as that is known.
  package init(_ batches: [Batch], newest: Int, after version: Int, base: Int64?, model: String?) {
    let through = batches.last?.version ?? version
    self.init(batches: batches, through: through, isComplete: through >= newest, model: model, base: base)
  }
}

/// Merges upserts and deletions, each added in the order of their versions, into a page of whole batches.
package struct ChangeMerge {
  private let limit: Int
  private var upserts: [(version: Int, point: Point)] = []
  private var deletions: [(version: Int, id: String)] = []

  /// - Parameter limit: points and deletions after which the page ends.
  package init(limit: Int) { self.limit = max(1, limit) }

  /// - Returns: false when no further point is wanted: the page has `limit` of them, and this one is of a later batch.
  package mutating func add(_ point: Point, version: Int) -> Bool {
    upserts.append((version, point))
    return upserts.count <= limit || upserts[limit - 1].version == version
  }

  /// As ``add(_:version:)``.
  package mutating func addDeletion(_ id: String, version: Int) -> Bool {
    deletions.append((version, id))
    return deletions.count <= limit || deletions[limit - 1].version == version
  }

  /// The first batches, until `limit` is reached.
  ///
  /// - Parameters:
  ///   - newest: the collection's version.
  ///   - model: the collection's model.
  package func page(newest: Int, model: String?) -> ChangePage {
    var batches: [ChangePage.Batch] = []
    var taken = 0
    var upsert = 0
    var deletion = 0
    while upsert < upserts.count || deletion < deletions.count {
      let version = min(
        upsert < upserts.count ? upserts[upsert].version : .max,
        deletion < deletions.count ? deletions[deletion].version : .max)
      guard taken < limit else {
        return ChangePage(batches: batches, through: batches.last?.version ?? newest, isComplete: false, model: model)
      }
      var batch = ChangePage.Batch(version: version)
      while upsert < upserts.count, upserts[upsert].version == version {
        batch.upserts.append(upserts[upsert].point)
        upsert += 1
      }
      while deletion < deletions.count, deletions[deletion].version == version {
        batch.deletes.append(deletions[deletion].id)
        deletion += 1
      }
      taken += batch.upserts.count + batch.deletes.count
      batches.append(batch)
    }
    return ChangePage(batches: batches, through: newest, isComplete: true, model: model)
  }
}
