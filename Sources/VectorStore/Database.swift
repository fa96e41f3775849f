import CSQLite

/// One connection to SQLite. One thread at a time.
final class Database {
  // SAFETY (of the pointer in this file and its users): open from `init` to `deinit`, and used by one thread at a time.
  let handle: OpaquePointer

  /// How a file is opened.
  enum Access {
    /// Made when there is none.
    case creating
    case writing
    /// Nothing is changed; the log beside the file is read.
    case reading
    /// As ``reading``, and nobody else changes the file either: nothing is locked, made or looked for beside it.
    case immutable
  }

  /// - Parameter path: `:memory:` for a database that ends with the connection.
  /// - Parameter vfs: a registered file system of SQLite's; nil for its own.
  init(path: String, vfs: String? = nil, access: Access = .creating) throws(SQLiteError) {
    var opened: OpaquePointer?
    let flags =
      switch access {
      case .creating: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
      case .writing: SQLITE_OPEN_READWRITE
      case .reading: SQLITE_OPEN_READONLY
      case .immutable: SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
      }
    let name = access == .immutable ? Self.immutable(path) : path
    let code = sqlite3_open_v2(name, &opened, flags | SQLITE_OPEN_EXRESCODE, vfs)
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

  /// The path as SQLite's URI of a file that does not change.
  private static func immutable(_ path: String) -> String {
    let escapes: [UInt8: String] = [0x23: "%23", 0x25: "%25", 0x3F: "%3F"]
    let bytes = path.utf8.flatMap { byte in escapes[byte].map { Array($0.utf8) } ?? [byte] }
    return "file:\(String(decoding: bytes, as: UTF8.self))?immutable=1"
  }

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
