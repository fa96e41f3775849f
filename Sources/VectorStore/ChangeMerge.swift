/// Puts upserts and deletions, each in the order of their versions, together into a page of whole batches.
struct ChangeMerge {
  private let limit: Int
  private var upserts: [(version: Int, point: Point)] = []
  private var deletions: [(version: Int, id: String)] = []

  init(limit: Int) { self.limit = max(1, limit) }

  /// - Returns: false when no further one is wanted: there are `limit`, and this one's batch is not theirs.
  mutating func add(_ point: Point, version: Int) -> Bool {
    upserts.append((version, point))
    return upserts.count <= limit || upserts[limit - 1].version == version
  }

  /// As ``add(_:version:)``.
  mutating func addDeletion(_ id: String, version: Int) -> Bool {
    deletions.append((version, id))
    return deletions.count <= limit || deletions[limit - 1].version == version
  }

  /// The first batches until `limit` is reached.
  func page(newest: Int, model: String?) -> ChangePage {
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
