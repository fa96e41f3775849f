import CSQLite

/// One connection to SQLite. One thread at a time.
final class Database {
  // SAFETY (of the pointer in this file and its users): open from `init` to `deinit`, and used by one thread at a time.
  let handle: OpaquePointer

  /// - Parameter path: `:memory:` for a database that ends with the connection.
  /// - Parameter vfs: a registered file system of SQLite's; nil for its own.
  init(path: String, vfs: String? = nil, creates: Bool = true) throws(SQLiteError) {
    var opened: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | (creates ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_EXRESCODE
    let code = sqlite3_open_v2(path, &opened, flags, vfs)
    guard let opened else { throw SQLiteError(code: code, message: "out of memory") }
    guard code == SQLITE_OK else {
      let error = Database.error(opened, code)
      sqlite3_close_v2(opened)
      throw error
    }
    handle = opened
    // Another process may back the data up or look at it; it holds its locks for moments.
    sqlite3_busy_timeout(opened, 10_000)
  }

  deinit { sqlite3_close_v2(handle) }

  /// Runs statements that give no rows, or whose rows do not matter.
  func run(_ sql: String) throws(SQLiteError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw error(code) }
  }

  /// The first column of the first row, as text; nil when there is no row.
  func value(_ sql: String) throws(SQLiteError) -> String? {
    let statement = try Statement(self, sql)
    guard try statement.step() else { return nil }
    return statement.text(0)
  }

  /// Whether closing leaves the log as it is; otherwise the last connection folds it into the database and removes it.
  func keepLog(_ keeps: Bool) throws(SQLiteError) {
    let code = nf_sqlite_keep_log(handle, keeps ? 1 : 0)
    guard code == SQLITE_OK else { throw error(code) }
  }

  /// Rows that the last statement changed.
  var changes: Int { Int(sqlite3_changes64(handle)) }

  /// Some errors end the transaction by themselves.
  var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

  func error(_ code: Int32) -> SQLiteError { Self.error(handle, code) }

  private static func error(_ handle: OpaquePointer, _ code: Int32) -> SQLiteError {
    let isWrite = code == SQLITE_IOERR | 3 << 8  // SQLITE_IOERR_WRITE, a macro that Swift does not import.
    return SQLiteError(
      code: code, systemCode: isWrite ? nf_sqlite_write_errno(handle) : sqlite3_system_errno(handle),
      message: String(cString: sqlite3_errmsg(handle)))
  }
}
