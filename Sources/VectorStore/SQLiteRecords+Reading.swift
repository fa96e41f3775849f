extension SQLiteRecords {
  /// Opens the records of a folder and checks what can be seen without reading them all.
  ///
  /// - Throws: ``OpenError`` naming the file at fault, which is as it was then.
  static func open(in folder: DataFolder, vfs: String? = nil, writes: Bool = true) throws(OpenError) -> SQLiteRecords {
    let path = folder.database
    // SQLite removes the log of an empty database, and all that was committed may be in it.
    guard !LogCheck.isEmpty(path) || LogCheck.isEmpty("\(path)-wal") else {
      throw OpenError("\(path) cannot be used: it is empty, though there is a log of it")
    }
    try LogCheck.check("\(path)-wal")
    let mark = CommitMark(in: folder.path)
    let noted = mark.read()
    let records = try SQLiteRecords(path: path, vfs: vfs, creates: writes && !folder.isMarked)
    try mark.check(records.mark, against: noted, in: path)
    try records.checkOwners()
    if writes { try records.prepareToWrite() } else { try records.refuseWrites() }
    return records
  }

  /// Pages of two moments, put together by a log that is gone, can hold points of a collection that is not there.
  private func checkOwners() throws(OpenError) {
    do throws(SQLiteError) {
      for table in ["points", "tombstones"] {
        for owner in try statements().owners(in: table) where catalog[owner] == nil {
          throw SQLiteError(code: 0, message: "there are \(table) of collection \(owner), which is missing")
        }
      }
    } catch {
      throw OpenError("\(path) is damaged: \(error.message)")
    }
  }

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
    try rows.selectTombstones.forEach(.integer(collection.id), .integer(0), failure: failed) { row throws(OpenError) in
      let checksum = RowChecksum.ofTombstone(row.text(0) ?? "", collection: collection.id, version: row.integer(1))
      guard checksum == row.integer(2) else { throw damaged("a deletion is not as it was written") }
      digest &+= checksum
      return true
    }
    guard count == collection.count, digest == collection.digest else {
      throw damaged("\(count) points are there where \(collection.count) were written, or others")
    }
  }

  func changes(of collection: Int64, after version: Int, limit: Int) throws(StoreError) -> ChangePage {
    guard let stored = catalog[collection] else { throw .unknownCollection("\(collection)") }
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
