/// What comes before the first commit. Until everything is loaded nothing changes in the files.
extension SQLiteRecords {
  /// Opens the records of a folder and checks what can be seen without reading them all.
  ///
  /// - Parameter writes: whether there will be commits; there are none in a folder that cannot be written.
  /// - Throws: ``OpenError`` naming the file at fault, which is as it was then.
  static func open(
    in folder: DataFolder, vfs: String? = nil, writes: Bool = true, bounds: RecordBounds = RecordBounds()
  ) throws(OpenError) -> SQLiteRecords {
    let path = folder.database
    let writes = writes && !folder.isReadOnly
    // SQLite removes the log of an empty database, and all that was committed may be in it.
    guard !LogCheck.isEmpty(path) || LogCheck.isEmpty("\(path)-wal") else {
      throw OpenError("\(path) cannot be used: it is empty, though there is a log of it")
    }
    try LogCheck.check("\(path)-wal")
    let mark = CommitMark(in: folder.path)
    let noted = mark.read()
    let records = try SQLiteRecords(
      path: path, vfs: vfs, creates: writes && !folder.isMarked, readOnly: folder.isReadOnly, bounds: bounds)
    try mark.check(records.mark, against: noted, in: path)
    try records.checkOwners()
    if writes { try records.prepareToWrite() } else { try records.refuseWrites() }
    return records
  }

  /// Pages of two moments, put together by a log that is gone, can hold points of a collection that is not there.
  private func checkOwners() throws(OpenError) {
    let known = Set(catalog.keys).union(remnants.map(\.id))
    do throws(SQLiteError) {
      for table in ["points", "tombstones"] {
        for owner in try statements().owners(in: table) where !known.contains(owner) {
          throw SQLiteError(code: 0, message: "there are \(table) of collection \(owner), which is missing")
        }
      }
    } catch {
      throw OpenError("\(path) is damaged: \(error.message)")
    }
  }

  /// Before the first commit; until then nothing has changed in the file.
  func prepareToWrite() throws(OpenError) {
    do throws(SQLiteError) {
      let mode = try database?.value("PRAGMA journal_mode = WAL")
      guard mode == "wal" || path == ":memory:" else {
        throw SQLiteError(code: 0, message: "the folder's file system has no write-ahead log")
      }
      try database?.run("PRAGMA synchronous = FULL")
      try database?.run("PRAGMA wal_autocheckpoint = 2000")
      // What a savepoint needs to go back must not depend on another disk.
      try database?.run("PRAGMA temp_store = MEMORY")
    } catch {
      throw unusable(error)
    }
  }

  /// Nothing is to be changed at all.
  private func refuseWrites() throws(OpenError) {
    do throws(SQLiteError) { try database?.run("PRAGMA query_only = ON") } catch { throw unusable(error) }
  }

  /// What was opened has proved whole: an older format becomes this one, closing may fold the log into the database, and the
  /// log that a killed process left behind is folded in now. Leftovers behind its last commit would be mistaken for damage
  /// after the next kill.
  func accept() throws(OpenError) {
    guard let database, !isReadOnly else { return }
    do throws(SQLiteError) {
      try Schema.upgrade(database)
      try statements().findTargets()
    } catch {
      throw unusable(error)
    }
    try? database.keepLog(false)
    // Where it fails, the log stays and the next start takes it.
    if hadLog { try? clearLog(database) }
  }

  private func unusable(_ error: SQLiteError) -> OpenError { OpenError("\(path) cannot be used: \(error.message)") }
}
