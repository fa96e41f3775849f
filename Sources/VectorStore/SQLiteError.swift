import CSQLite
import Platform

/// What SQLite answered in place of success.
struct SQLiteError: Error, Sendable, Equatable {
  /// An extended result code.
  let code: Int32
  /// The operating system's own number, 0 when there is none.
  let systemCode: Int32
  let message: String

  init(code: Int32, systemCode: Int32 = 0, message: String) {
    self.code = code
    self.systemCode = systemCode
    self.message = message
  }

  var primaryCode: Int32 { code & 0xFF }

  /// The disk, the quota or the file-size limit is used up.
  var isFull: Bool {
    primaryCode == SQLITE_FULL
      || (primaryCode == SQLITE_IOERR && [ENOSPC, EDQUOT, EFBIG].contains(systemCode))
  }

  /// The file is not what SQLite wrote.
  var isDamage: Bool { [SQLITE_CORRUPT, SQLITE_NOTADB].contains(primaryCode) }

  /// Concerns the one statement and its values; the transaction around it goes on.
  var isOfStatement: Bool { [SQLITE_CONSTRAINT, SQLITE_TOOBIG, SQLITE_MISMATCH].contains(primaryCode) }

  var asStoreError: StoreError {
    isFull ? .full : .unavailable("the records cannot be reached: \(message) (SQLite code \(code))")
  }
}
