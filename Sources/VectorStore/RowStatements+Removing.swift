/// What goes from the file in time: old deletions, and the rows of dropped collections.
extension RowStatements {
  func bury(_ id: String, version: Int64, _ collection: inout StoredCollection) throws(SQLiteError) {
    let checksum = RowChecksum.ofTombstone(id, collection: collection.id, version: version)
    try insertTombstone.run(.integer(collection.id), .text(id), .integer(version), .integer(checksum))
    collection.digest &+= checksum
  }

  private func exhume(_ id: String, _ collection: inout StoredCollection) throws(SQLiteError) {
    let checksum = try deleteTombstone.first(.integer(collection.id), .text(id)) { $0.integer(0) }
    collection.digest &-= checksum ?? 0
  }

  /// Forgets the oldest deletions beyond what is remembered, and notes from which version on they are whole.
  func forget(_ collection: inout StoredCollection, deleted: Int) throws(SQLiteError) {
    let excess = collection.tombstones - max(bounds.tombstones, collection.count)
    guard excess > 0 else { return }
    var oldest: [(id: String, version: Int64)] = []
    // More than have come, so that an excess shrinks, and not many more, so that no transaction becomes long by it.
    let most = min(excess, 2 * Int64(deleted) + 1000)
    func take(_ row: Statement) throws(SQLiteError) -> Bool {
      oldest.append((row.text(0) ?? "", row.integer(1)))
      return true
    }
    try selectOldestTombstones.forEach(.integer(collection.id), .integer(most), failure: { $0 }, read: take)
    for entry in oldest { try exhume(entry.id, &collection) }
    guard let last = oldest.last else { return }
    collection.tombstones -= Int64(oldest.count)
    collection.horizon = last.version
    try exhume(Self.horizonID, &collection)
    try bury(Self.horizonID, version: last.version, &collection)
  }

  /// The id, which no point has, of the tombstone whose version is the horizon.
  static let horizonID = ""

  /// Deletes some of a dropped collection's rows; the collection behind the last one.
  ///
  /// - Returns: whether nothing of it is left.
  func sweep(_ dropped: StoredCollection) throws(SQLiteError) -> Bool {
    let rows = max(1, min(bounds.sweptRows, bounds.sweptValues / dropped.dimension))
    for statement in sweeps {
      try statement.run(.integer(dropped.id), .integer(Int64(rows)))
      if database.changes > 0 { return false }
    }
    try deleteCollection.run(.integer(dropped.id))
    return true
  }
}
