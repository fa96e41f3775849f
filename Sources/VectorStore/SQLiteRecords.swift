import CSQLite
import Synchronization
import VectorIndex

/// The records in one SQLite file, or in memory.
///
/// The write-ahead log with `synchronous=FULL` makes a commit durable with one flush of the log.
// SAFETY: @unchecked because a connection belongs to one thread at a time; the writer's serial queue is the only caller once
// the store is open, and before that its opener.
final class SQLiteRecords: Records, @unchecked Sendable {
  private(set) var database: Database?
  private var rows: RowStatements?
  /// A failed transaction may have left frames in the log.
  private var hasRemains = false
  let isReadOnly: Bool
  /// As committed.
  var catalog: [Int64: StoredCollection] = [:]
  /// Dropped collections whose rows are there still.
  private(set) var remnants: [StoredCollection] = []
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
  /// - Parameter readOnly: writes nothing; every commit fails.
  init(
    path: String, vfs: String? = nil, creates: Bool = true, readOnly: Bool = false,
    bounds: RecordBounds = RecordBounds()
  ) throws(OpenError) {
    self.path = path
    isReadOnly = readOnly
    let log = "\(path)-wal"
    hadLog = !LogCheck.isEmpty(log)
    let access: Database.Access =
      readOnly ? (hadLog ? .reading : .immutable) : creates ? .creating : .writing
    let opened: Database
    do throws(SQLiteError) {
      opened = try Database(path: path, vfs: vfs, access: access)
      try opened.run("PRAGMA cell_size_check = ON")
      // Whoever is refused finds the files as they were.
      if hadLog { try opened.keepLog(true) }
      if access == .reading { _ = try opened.value("PRAGMA application_id") }
    } catch {
      guard access != .reading else {
        throw OpenError(
          """
          \(log) holds what a killed process left behind, and cannot be taken in where nothing can be written \
          (\(error.message)): start once with the folder writable, or on a copy that is
          """)
      }
      throw OpenError("\(path) cannot be opened: \(error.message)\(creates ? "" : ", though the folder was in use")")
    }
    try Schema.prepare(opened, path: path, creates: creates && !readOnly)
    do throws(SQLiteError) {
      let statements = try RowStatements(opened, bounds)
      for collection in try statements.readCollections() {
        if collection.isDropped { remnants.append(collection) } else { catalog[collection.id] = collection }
      }
      mark = try statements.readMark()
      rows = statements
    } catch {
      throw OpenError("\(path) cannot be used: \(error.message)")
    }
    database = opened
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
    try transact { database throws(SQLiteError) in
      for change in group { results.append(try applied(change, &state, database)) }
    }
    for (change, result) in zip(group, results) {
      if case .drop(let id) = change, case .success = result, let dropped = catalog[id]?.asDropped {
        remnants.append(dropped)
      }
    }
    catalog = state
    commits.add(1, ordering: .relaxed)
    return results
  }

  var hasRemnants: Bool { database != nil && !isReadOnly && !remnants.isEmpty }

  func sweep() throws(StoreError) -> Bool {
    guard hasRemnants, let next = remnants.first else { return false }
    var isGone = false
    try transact { _ throws(SQLiteError) in isGone = try statements().sweep(next) }
    if isGone { remnants.removeFirst() }
    return !remnants.isEmpty
  }

  func advanceMark() throws(StoreError) -> Int64 {
    try transact { _ throws(SQLiteError) in try statements().writeMark(mark + 1) }
    mark += 1
    return mark
  }

  /// One transaction: all of `body` or nothing.
  private func transact(_ body: (Database) throws(SQLiteError) -> Void) throws(StoreError) {
    guard let database else { throw .unavailable("the store is closed") }
    guard !isReadOnly else { throw .readOnly }
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
  func clearLog(_ database: Database) throws(SQLiteError) {
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
