extension SQLiteRecords {
  func load(_ collection: StoredCollection, _ body: (Point) throws(OpenError) -> Void) throws(OpenError) {
    var count: Int64 = 0
    var digest: Int64 = 0
    func damaged(_ what: String) -> OpenError {
      OpenError("\(path) is damaged: collection '\(collection.name)', \(what)")
    }
    func failed(_ error: SQLiteError) -> OpenError { OpenError("\(path) cannot be read: \(error.message)") }
    let rows: RowStatements
    do throws(SQLiteError) { rows = try statements() } catch { throw failed(error) }
    try rows.selectPoints.forEach(.integer(collection.id), .integer(0), failure: failed) { row throws(OpenError) in
      guard let point = Self.point(row, dimension: collection.dimension) else {
        throw damaged("a point is not as it was written")
      }
      let checksum = RowChecksum.of(point, collection: collection.id, version: row.integer(4))
      guard checksum == row.integer(5), row.integer(4) <= collection.version else {
        throw damaged("point '\(point.id)' is not as it was written")
      }
      count += 1
      digest &+= checksum
      try body(point)
      return true
    }
    var tombstones: Int64 = 0
    var horizon: Int64 = 0
    try rows.selectTombstones.forEach(.integer(collection.id), .integer(0), failure: failed) { row throws(OpenError) in
      let id = row.text(0) ?? ""
      let checksum = RowChecksum.ofTombstone(id, collection: collection.id, version: row.integer(1))
      guard checksum == row.integer(2) else { throw damaged("a deletion is not as it was written") }
      if id == RowStatements.horizonID { horizon = row.integer(1) } else { tombstones += 1 }
      digest &+= checksum
      return true
    }
    guard count == collection.count, digest == collection.digest else {
      throw damaged("\(count) points are there where \(collection.count) were written, or others")
    }
    catalog[collection.id]?.tombstones = tombstones
    catalog[collection.id]?.horizon = horizon
  }

  func changes(of collection: Int64, after version: Int, limit: Int) throws(StoreError) -> ChangePage {
    guard let stored = catalog[collection] else { throw .unknownCollection("\(collection)") }
    guard version >= stored.horizon else { throw .tooOld(oldest: Int(stored.horizon)) }
    let after = Int64(version)
    let rows: RowStatements
    do throws(SQLiteError) { rows = try statements() } catch { throw error.asStoreError }
    var merge = ChangeMerge(limit: limit)
    func addPoint(_ row: Statement) throws(StoreError) -> Bool {
      guard let point = Self.point(row, dimension: stored.dimension),
        RowChecksum.of(point, collection: collection, version: row.integer(4)) == row.integer(5)
      else { throw .unavailable("a stored point is damaged") }
      return merge.add(point, version: Int(row.integer(4)))
    }
    func addDeletion(_ row: Statement) throws(StoreError) -> Bool {
      merge.addDeletion(row.text(0) ?? "", version: Int(row.integer(1)))
    }
    let bounds = (Statement.Value.integer(collection), Statement.Value.integer(after))
    try rows.selectPoints.forEach(bounds.0, bounds.1, failure: \.asStoreError, read: addPoint)
    try rows.selectTombstones.forEach(bounds.0, bounds.1, failure: \.asStoreError, read: addDeletion)
    return merge.page(newest: max(version, Int(stored.version)), model: stored.model)
  }

  /// nil when the row cannot be a point: too short a vector, or values that are none.
  private static func point(_ row: Statement, dimension: Int) -> Point? {
    guard let id = row.text(0), !id.isEmpty, let vector = row.floats(1), vector.count == dimension,
      vector.allSatisfy(\.isFinite)
    else { return nil }
    return Point(id: id, vector: vector, text: row.text(2), metadata: row.bytes(3))
  }
}
