import CSQLite

/// A compiled statement, which is used again and again. One thread at a time.
final class Statement {
  private let connection: Connection
  // SAFETY (of the pointer in this file): compiled in `init`, finalized in `deinit`, before its connection closes.
  private let handle: OpaquePointer

  init(_ connection: Connection, _ sql: String) throws(SQLiteError) {
    var compiled: OpaquePointer?
    let code = sqlite3_prepare_v3(connection.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &compiled, nil)
    guard code == SQLITE_OK, let compiled else { throw connection.error(code) }
    self.connection = connection
    handle = compiled
  }

  deinit { sqlite3_finalize(handle) }

  /// Runs a statement whose rows, if any, do not matter.
  func run(_ values: Value...) throws(SQLiteError) {
    try bind(values)
    defer { reset() }
    while try step() {}
  }

  /// Runs a statement and reads its first row; nil when there is none.
  func first<Row>(_ values: Value..., read: (Statement) -> Row) throws(SQLiteError) -> Row? {
    try bind(values)
    defer { reset() }
    return try step() ? read(self) : nil
  }

  /// Runs a statement and reads its rows until `read` throws or returns false.
  func forEach<Failure: Error>(
    _ values: Value..., failure: (SQLiteError) -> Failure, read: (Statement) throws(Failure) -> Bool
  ) throws(Failure) {
    defer { reset() }
    do throws(SQLiteError) { try bind(values) } catch { throw failure(error) }
    while true {
      let more: Bool
      do throws(SQLiteError) { more = try step() } catch { throw failure(error) }
      guard more, try read(self) else { return }
    }
  }

  /// Begins with these values; ``step()`` then gives row after row until ``reset()``.
  func begin(_ values: Value...) throws(SQLiteError) {
    reset()
    try bind(values)
  }

  /// The value of a parameter.
  enum Value {
    case integer(Int64)
    case real(Double)
    case text(String?)
    /// Bytes that are UTF-8.
    case utf8([UInt8]?)
    case floats([Float])
  }

  private func bind(_ values: [Value]) throws(SQLiteError) {
    for (offset, value) in values.enumerated() {
      let code = bind(value, at: Int32(truncatingIfNeeded: offset + 1))
      guard code == SQLITE_OK else { throw connection.error(code) }
    }
  }

  // SAFETY: SQLite copies what a pointer leads to before the call returns (SQLITE_TRANSIENT). An empty array may have a
  // null pointer, which would be bound as NULL; a pointer to an empty C string is bound in its place.
  private func bind(_ value: Value, at index: Int32) -> Int32 {
    let copies = nf_sqlite_transient()
    switch value {
    case .integer(let number): return sqlite3_bind_int64(handle, index, number)
    case .real(let number): return sqlite3_bind_double(handle, index, number)
    case .text(nil), .utf8(nil): return sqlite3_bind_null(handle, index)
    case .text(let text?):
      var text = text
      return text.withUTF8 { bytes in
        bytes.withMemoryRebound(to: CChar.self) { chars in
          guard let start = chars.baseAddress else { return sqlite3_bind_text(handle, index, "", 0, copies) }
          return sqlite3_bind_text64(handle, index, start, UInt64(chars.count), copies, UInt8(SQLITE_UTF8))
        }
      }
    case .utf8(let bytes?):
      return bytes.withUnsafeBytes { raw in
        guard let start = raw.baseAddress?.assumingMemoryBound(to: CChar.self) else {
          return sqlite3_bind_text(handle, index, "", 0, copies)
        }
        return sqlite3_bind_text64(handle, index, start, UInt64(raw.count), copies, UInt8(SQLITE_UTF8))
      }
    case .floats(let values):
      return values.withUnsafeBytes { raw in
        sqlite3_bind_blob64(handle, index, raw.baseAddress, UInt64(raw.count), copies)
      }
    }
  }

  /// - Returns: whether there is a row.
  func step() throws(SQLiteError) -> Bool {
    let code = sqlite3_step(handle)
    switch code {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default: throw connection.error(code)
    }
  }

  func reset() {
    sqlite3_reset(handle)
    sqlite3_clear_bindings(handle)
  }

  /// The error for a row that is not as it was written: damage, unless memory was missing while it was read.
  func failure(_ what: String) -> SQLiteError {
    sqlite3_errcode(connection.handle) & 0xFF == SQLITE_NOMEM ? connection.error(SQLITE_NOMEM) : .damage(what)
  }

  func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

  func real(_ column: Int32) -> Double { sqlite3_column_double(handle, column) }

  func text(_ column: Int32) -> String? {
    bytes(column).map { String(decoding: $0, as: UTF8.self) }
  }

  // SAFETY: SQLite's pointer is good until the next step; the bytes are copied before.
  func bytes(_ column: Int32) -> [UInt8]? {
    guard sqlite3_column_type(handle, column) != SQLITE_NULL else { return nil }
    let start = sqlite3_column_blob(handle, column)
    return Array(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
  }

  /// Little-endian f32; nil when the column does not hold a whole number of them.
  // SAFETY: as bytes(_:); the copy is into memory of its own, so SQLite's pointer may have any alignment.
  func floats(_ column: Int32) -> [Float]? {
    let start = sqlite3_column_blob(handle, column)
    let bytes = UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))
    guard bytes.count % 4 == 0 else { return nil }
    return [Float](unsafeUninitializedCapacity: bytes.count / 4) { out, count in
      UnsafeMutableRawBufferPointer(out).copyMemory(from: bytes)
      count = bytes.count / 4
    }
  }
}
