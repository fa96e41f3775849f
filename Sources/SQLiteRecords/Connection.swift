import CSQLite
import Platform
import VectorStore

/// One connection to SQLite. One thread at a time.
final class Connection {
  // SAFETY (of the pointer in this file and its users): open from `init` to `deinit`, and used by one thread at a time.
  let handle: OpaquePointer

  /// How a file is opened.
  enum Access {
    /// The file is made when there is none.
    case creating
    case writing
    /// Nothing is changed; the log beside the file is read.
    case reading
    /// As ``reading``, for a file that nobody else changes either: nothing is locked, made or looked for beside it.
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
    guard let opened else { throw SQLiteError(code: SQLITE_NOMEM, message: "out of memory") }
    guard code == SQLITE_OK else {
      let error = Self.error(opened, code)
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

  /// Runs statements whose rows, if any, do not matter.
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

  /// The number of rows that the last statement changed.
  var changes: Int { Int(sqlite3_changes64(handle)) }

  /// Whether a transaction is open; some errors end it by themselves.
  var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

  func error(_ code: Int32) -> SQLiteError { Self.error(handle, code) }

  private static func error(_ handle: OpaquePointer, _ code: Int32) -> SQLiteError {
    let isWrite = code == SQLITE_IOERR | 3 << 8  // SQLITE_IOERR_WRITE, a macro that Swift does not import.
    return SQLiteError(
      code: code, systemCode: isWrite ? nf_sqlite_write_errno(handle) : sqlite3_system_errno(handle),
      message: String(cString: sqlite3_errmsg(handle)))
  }
}

/// An error that SQLite reports, or one that is found in what it gives.
struct SQLiteError: Error, Sendable, Equatable {
  /// An extended result code.
  let code: Int32
  /// The operating system's error number, 0 when there is none.
  let systemCode: Int32
  let message: String

  init(code: Int32, systemCode: Int32 = 0, message: String) {
    self.code = code
    self.systemCode = systemCode
    self.message = message
  }

  var primaryCode: Int32 { code & 0xFF }

  /// What is stored is not what was written; `what` says how that shows.
  static func damage(_ what: String) -> SQLiteError {
    SQLiteError(code: SQLITE_CORRUPT, message: "it is damaged: \(what)")
  }

  /// The file cannot be used as it is; nothing is known to be damaged.
  static func unusable(_ why: String) -> SQLiteError { SQLiteError(code: SQLITE_ERROR, message: why) }

  /// The disk, the quota or the file-size limit is used up.
  var isFull: Bool {
    primaryCode == SQLITE_FULL
      || (primaryCode == SQLITE_IOERR && [ENOSPC, EDQUOT, EFBIG].contains(systemCode))
  }

  /// SQLITE_IOERR_NOMEM, a macro that Swift does not import.
  private static let ioErrorOutOfMemory = SQLITE_IOERR | 12 << 8

  /// Memory was missing, in SQLite or in the file system below it.
  var isOutOfMemory: Bool {
    primaryCode == SQLITE_NOMEM || code == Self.ioErrorOutOfMemory
      || (primaryCode == SQLITE_IOERR && systemCode == ENOMEM)
  }

  /// The file is not what SQLite wrote.
  var isDamage: Bool { [SQLITE_CORRUPT, SQLITE_NOTADB].contains(primaryCode) }

  /// Only the one statement and its values are at fault; the transaction around it goes on.
  var isOfStatement: Bool { [SQLITE_CONSTRAINT, SQLITE_TOOBIG, SQLITE_MISMATCH].contains(primaryCode) }

  var asStoreError: StoreError {
    if isFull { return .full }
    if isOutOfMemory { return .outOfMemory }
    if isDamage { return .damaged("the records are damaged: \(message)") }
    return .unavailable("the records cannot be reached: \(message) (SQLite code \(code))")
  }

  /// - Parameter what: what failed, naming the file.
  func asOpenError(_ what: String) -> OpenError {
    OpenError(
      "\(what): \(message)", cause: isOutOfMemory ? .outOfMemory : isDamage ? .damaged : .unusable)
  }
}
