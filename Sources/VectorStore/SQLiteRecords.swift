import CSQLite
import Synchronization
import VectorIndex

/// The records in one SQLite file, or in memory.
///
/// The write-ahead log with `synchronous=FULL` makes a commit durable with one flush of the log.
// SAFETY: @unchecked because a connection belongs to one thread at a time; the writer's serial queue is the only caller once
// the store is open, and before that its opener.
final class SQLiteRecords: Records, @unchecked Sendable {
  private var database: Database?
  private var rows: RowStatements?
  /// A failed transaction may have left frames in the log.
  private var hasRemains = false
  /// As committed.
  var catalog: [Int64: StoredCollection] = [:]
  let path: String
  /// Whether there was a log: an earlier process was killed.
  let hadLog: Bool
  /// As committed: see ``CommitMark``.
  private(set) var mark: Int64 = 0
  /// Transactions that were committed.
  let commits = Atomic(0)

  /// - Parameter path: a file, or `:memory:`.
  /// - Parameter vfs: a registered file system of SQLite's; nil for its own.
  /// - Parameter creates: whether to make new records where there are none.
  init(path: String, vfs: String? = nil, creates: Bool = true) throws(OpenError) {
    self.path = path
    hadLog = !LogCheck.isEmpty("\(path)-wal")
    let opened: Database
    do throws(SQLiteError) {
      opened = try Database(path: path, vfs: vfs, creates: creates)
      try opened.run("PRAGMA cell_size_check = ON")
      // Whoever is refused finds the files as they were.
      if hadLog { try opened.keepLog(true) }
    } catch {
      throw OpenError("\(path) cannot be opened: \(error.message)\(creates ? "" : ", though the folder was in use")")
    }
    try Schema.prepare(opened, path: path, creates: creates)
    do throws(SQLiteError) {
      let statements = try RowStatements(opened)
      for collection in try statements.readCollections() { catalog[collection.id] = collection }
      mark = try statements.readMark()
      rows = statements
    } catch {
      throw OpenError("\(path) cannot be used: \(error.message)")
    }
    database = opened
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
      throw OpenError("\(path) cannot be used: \(error.message)")
    }
  }

  /// Nothing is to be changed at all.
  func refuseWrites() throws(OpenError) {
    do throws(SQLiteError) {
      try database?.run("PRAGMA query_only = ON")
    } catch {
      throw OpenError("\(path) cannot be used: \(error.message)")
    }
  }

  /// What was opened has proved whole: closing may fold the log into the database, and the log that a killed process left
  /// behind is folded in now. Leftovers behind its last commit would be mistaken for damage after the next kill.
  func accept() {
    guard let database else { return }
    try? database.keepLog(false)
    // Where it fails, the log stays and the next start takes it.
    if hadLog { try? clearLog(database) }
  }

  func collections() throws(StoreError) -> [StoredCollection] {
    catalog.values.sorted { $0.id < $1.id }
  }

  func close() {
    // Statements first: a connection with statements stays open.
    rows = nil
    database = nil
  }

  /// The statements, while the file is open.
  func statements() throws(SQLiteError) -> RowStatements {
    guard let rows else { throw SQLiteError(code: SQLITE_MISUSE, message: "the store is closed") }
    return rows
  }

  func commit(_ group: [RecordChange]) throws(StoreError) -> [Result<Committed, StoreError>] {
    var state = catalog
    var results: [Result<Committed, StoreError>] = []
    try transaction { database throws(SQLiteError) in
      for change in group { results.append(try applied(change, &state, database)) }
    }
    catalog = state
    commits.add(1, ordering: .relaxed)
    return results
  }

  func advanceMark() throws(StoreError) -> Int64 {
    try transaction { _ throws(SQLiteError) in try statements().writeMark(mark + 1) }
    mark += 1
    return mark
  }

  private func transaction(_ body: (Database) throws(SQLiteError) -> Void) throws(StoreError) {
    guard let database else { throw .unavailable("the store is closed") }
    do throws(SQLiteError) {
      if hasRemains { try clearLog(database) }
      try database.run("BEGIN IMMEDIATE")
      try body(database)
      try database.run("COMMIT")
    } catch {
      // Some errors have rolled back already. Where this fails, the next BEGIN says so.
      if database.isInTransaction { try? database.run("ROLLBACK") }
      hasRemains = true
      throw error.asStoreError
    }
  }

  /// Folds the log into the database and empties it. What failed transactions left behind the last commit would look like
  /// damage (``LogCheck``) once shorter ones have been written over its beginning.
  private func clearLog(_ database: Database) throws(SQLiteError) {
    guard try database.value("PRAGMA wal_checkpoint(TRUNCATE)") == "0" else {
      throw SQLiteError(code: SQLITE_BUSY, message: "another process reads the log")
    }
    hasRemains = false
  }

  /// One change within the transaction. What concerns it alone is its result; what stops the group is thrown.
  private func applied(
    _ change: RecordChange, _ state: inout [Int64: StoredCollection], _ database: Database
  ) throws(SQLiteError) -> Result<Committed, StoreError> {
    let before = state
    try database.run("SAVEPOINT change")
    let result: Result<Committed, StoreError>
    do throws(SQLiteError) {
      result = try statements().write(change, &state)
    } catch {
      guard error.isOfStatement, database.isInTransaction else { throw error }
      result = .failure(error.asStoreError)
    }
    if case .failure = result {
      state = before
      try database.run("ROLLBACK TO change")
    }
    try database.run("RELEASE change")
    return result
  }
}
