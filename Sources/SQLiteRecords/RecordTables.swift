import CSQLite
import VectorIndex
import VectorStore

/// The tables of one SQLite database and what is known of them. One thread at a time.
///
/// The write-ahead log with `synchronous=FULL` makes a commit durable with one flush of the log.
final class RecordTables {
  let path: String
  let isReadOnly: Bool
  /// Whether there was a log: an earlier process was killed.
  let hadLog: Bool
  /// A failed transaction may have left frames in the log.
  var logNeedsClearing = false
  let connection: Connection
  let collections: CollectionRows
  let points: PointRows
  /// The collections as committed, dropped ones left out.
  var catalog: [Int64: CollectionRow] = [:]
  /// Dropped collections that still have rows.
  var dropped: [CollectionRow] = []
  /// As committed: see ``CommitMark``.
  var commitNumber: Int64 = 0

  /// Opens the database and checks what can be seen without reading all of it. Nothing in the files changes.
  ///
  /// - Parameters:
  ///   - path: a file, or `:memory:`.
  ///   - vfs: a registered file system of SQLite's; nil for its own.
  ///   - creates: whether to make new tables where there are none.
  ///   - readOnly: nothing is ever written; every commit fails.
  /// - Throws: ``OpenError`` naming `path` or its log.
  init(path: String, vfs: String?, creates: Bool, readOnly: Bool, bounds: RecordBounds) throws(OpenError) {
    self.path = path
    isReadOnly = readOnly
    let log = "\(path)-wal"
    hadLog = !LogCheck.isEmpty(log)
    let access: Connection.Access =
      readOnly ? (hadLog ? .reading : .immutable) : creates ? .creating : .writing
    do throws(SQLiteError) {
      connection = try Connection(path: path, vfs: vfs, access: access)
      try connection.run("PRAGMA cell_size_check = ON")
      // Whoever is refused finds the files as they were.
      if hadLog { try connection.keepLog(true) }
      if access == .reading { _ = try connection.value("PRAGMA application_id") }
    } catch {
      guard access != .reading || error.isOutOfMemory else {
        throw OpenError(
          """
          \(log) holds what a killed process left behind, and cannot be taken in where nothing can be written \
          (\(error.message)): start once with the folder writable, or on a copy that is
          """)
      }
      let missing = creates || error.isOutOfMemory ? "" : ", though the folder was in use"
      throw OpenError(
        "\(error.asOpenError("\(path) cannot be opened"))\(missing)", cause: error.asOpenError(path).cause)
    }
    try Schema.prepare(connection, path: path, creates: creates && !readOnly)
    do throws(SQLiteError) {
      collections = try CollectionRows(connection)
      points = try PointRows(connection, bounds)
      for row in try collections.read() {
        if row.isDropped { dropped.append(row) } else { catalog[row.id] = row }
      }
      commitNumber = try collections.readCommitNumber()
    } catch {
      throw error.asOpenError("\(path) cannot be used")
    }
  }

  /// Pages of two moments, which a log that is gone may have left, can hold rows of a collection that is not there.
  func checkOwners() throws(OpenError) {
    let known = Set(catalog.keys).union(dropped.map(\.id))
    do throws(SQLiteError) {
      for table in ["points", "tombstones"] {
        for owner in try points.owners(in: table) where !known.contains(owner) {
          throw SQLiteError(
            code: SQLITE_CORRUPT, message: "there are \(table) of collection \(owner), which is missing")
        }
      }
    } catch {
      throw error.asOpenError("\(path) \(error.isDamage ? "is damaged" : "cannot be read")")
    }
  }

  // MARK: Getting ready to write

  /// Sets the connection up for commits. Nothing in the file has changed afterwards.
  func prepareToWrite() throws(OpenError) {
    do throws(SQLiteError) {
      let mode = try connection.value("PRAGMA journal_mode = WAL")
      guard mode == "wal" || path == ":memory:" else {
        throw SQLiteError.unusable("the folder's file system has no write-ahead log")
      }
      try connection.run("PRAGMA synchronous = FULL")
      try connection.run("PRAGMA wal_autocheckpoint = 2000")
      // What a savepoint needs to be rolled back must not depend on another disk.
      try connection.run("PRAGMA temp_store = MEMORY")
    } catch {
      throw error.asOpenError("\(path) cannot be used")
    }
  }

  /// Makes every write fail.
  func refuseWrites() throws(OpenError) {
    do throws(SQLiteError) {
      try connection.run("PRAGMA query_only = ON")
    } catch {
      throw error.asOpenError("\(path) cannot be used")
    }
  }

  /// Everything that was opened has proved whole: an older format is brought to this one, closing may fold the log into the
  /// database, and the log that a killed process left behind is folded in now. What is behind its last commit would look like
  /// damage after the next kill.
  func beginWriting() throws(OpenError) {
    guard !isReadOnly else { return }
    do throws(SQLiteError) {
      try Schema.upgrade(connection)
      try collections.findTargets()
    } catch {
      throw error.asOpenError("\(path) cannot be used")
    }
    try? connection.keepLog(false)
    // If this fails, the log stays and the next start takes it in.
    if hadLog { try? clearLog() }
  }

  // MARK: Reading

  /// - Throws: ``OpenError`` naming the file, or what `body` throws.
  func load(_ collection: StoredCollection, _ body: (Point) throws(OpenError) -> Void) throws(OpenError) {
    guard let row = catalog[collection.id] else {
      throw OpenError("\(path): there is no collection '\(collection.name)'")
    }
    var count = 0
    var digest: Int64 = 0
    func failed(_ error: SQLiteError) -> OpenError { error.asOpenError("\(path) cannot be read") }
    func damaged(_ what: String, _ row: Statement? = nil) -> OpenError {
      // Memory that was missing while the row was read is no damage.
      if let row, row.failure(what).isOutOfMemory { return failed(row.failure(what)) }
      return OpenError("\(path) is damaged: collection '\(collection.name)', \(what)", cause: .damaged)
    }
    try points.forEachPoint(of: collection, after: 0, failure: failed) { stored throws(OpenError) in
      guard let point = stored.point else { throw damaged("a point is not as it was written", stored.row) }
      let checksum = RowChecksum.of(point, collection: collection.id, version: stored.version)
      guard checksum == stored.checksum, stored.version <= Int64(collection.version) else {
        throw damaged("point '\(point.id)' is not as it was written", stored.row)
      }
      count += 1
      digest &+= checksum
      try body(point)
      return true
    }
    var tombstones: Int64 = 0
    var horizon: Int64 = 0
    try points.forEachTombstone(of: collection, after: 0, failure: failed) { stored throws(OpenError) in
      guard stored.isWhole else { throw damaged("a deletion is not as it was written", stored.row) }
      if stored.id == nil { horizon = stored.version } else { tombstones += 1 }
      digest &+= stored.checksum
      return true
    }
    guard count == collection.count, digest == row.digest else {
      throw damaged("\(count) points are there where \(collection.count) were written, or others")
    }
    catalog[collection.id]?.tombstones = tombstones
    catalog[collection.id]?.horizon = horizon
  }

  func changes(of collection: Int64, after version: Int, limit: Int) throws(StoreError) -> ChangePage {
    guard let row = catalog[collection] else { throw .unknownCollection("\(collection)") }
    guard version >= row.horizon else { throw .tooOld(oldest: Int(row.horizon)) }
    let stored = row.stored
    let after = Int64(version)
    var merge = ChangeMerge(limit: limit)
    try points.forEachPoint(of: stored, after: after, failure: \.asStoreError) { found throws(StoreError) in
      guard let point = found.point,
        RowChecksum.of(point, collection: collection, version: found.version) == found.checksum
      else { throw found.row.failure("a point is not as it was written").asStoreError }
      return merge.add(point, version: Int(found.version))
    }
    try points.forEachTombstone(of: stored, after: after, failure: \.asStoreError) { found throws(StoreError) in
      guard found.isWhole, let id = found.id else {
        throw found.row.failure("a deletion is not as it was written").asStoreError
      }
      return merge.addDeletion(id, version: Int(found.version))
    }
    return merge.page(newest: max(version, stored.version), model: stored.model)
  }
}
