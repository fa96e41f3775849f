import VectorStore

extension SQLiteRecords: OrderedReading {
  /// Opens the records of a folder that no service has open, only to read them. Nothing in the folder changes.
  ///
  /// - Throws: ``OpenError`` naming the path: a folder that is not there or in use, a newer or foreign file, damage.
  package static func openForReading(_ folder: String) throws(OpenError) -> SQLiteRecords {
    // Neither the folder is made, nor a lock in a folder of something else.
    guard DataFolder.exists(folder) else { throw OpenError("\(DataFolder.database(in: folder)) is not there") }
    return try SQLiteRecords(in: try DataFolder(folder), vfs: nil, writes: false, bounds: RecordBounds())
  }

  package func inIDOrder(
    _ collection: StoredCollection, _ body: (() throws(OpenError) -> Point?) throws(OpenError) -> Void
  ) throws(OpenError) {
    try read { tables throws(OpenError) in try tables.inIDOrder(collection, body) }
  }
}

extension RecordTables {
  fileprivate func inIDOrder(
    _ collection: StoredCollection, _ body: (() throws(OpenError) -> Point?) throws(OpenError) -> Void
  ) throws(OpenError) {
    func failed(_ error: SQLiteError) -> OpenError { error.asOpenError("\(path) cannot be read") }
    let rows: Statement
    do throws(SQLiteError) {
      // The unique index on (collection, id) has this order, which is that of bytes.
      rows = try Statement(
        connection,
        "SELECT id, vector, text, metadata, version, checksum FROM points WHERE collection = ? ORDER BY id")
      try rows.begin(.integer(collection.id))
    } catch {
      throw failed(error)
    }
    defer { rows.reset() }
    // A further step after the last row would begin again.
    var isAtEnd = false
    try body { () throws(OpenError) in
      do throws(SQLiteError) {
        guard !isAtEnd, try rows.step() else {
          isAtEnd = true
          return nil
        }
      } catch {
        throw failed(error)
      }
      guard let point = PointRows.point(rows, dimension: collection.dimension),
        RowChecksum.of(point, collection: collection.id, version: rows.integer(4)) == rows.integer(5)
      else { throw failed(rows.failure("a point of collection '\(collection.name)' is not as it was written")) }
      return point
    }
  }
}
