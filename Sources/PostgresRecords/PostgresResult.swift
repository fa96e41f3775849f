import CPQ
import VectorStore

/// The rows that a statement gave, in PostgreSQL's binary format.
// SAFETY: the result is libpq's, and is freed when this is; values are copied out before.
final class PostgresResult {
  private let handle: OpaquePointer

  /// Takes over the result.
  init(_ handle: OpaquePointer) { self.handle = handle }

  deinit { PQclear(handle) }

  var status: ExecStatusType { PQresultStatus(handle) }
  var rows: Int { Int(PQntuples(handle)) }

  /// The number of rows that an INSERT, UPDATE or DELETE has changed.
  var changed: Int { Int(String(cString: PQcmdTuples(handle))) ?? 0 }

  /// The database's reason, of which only the first line matters to a reader.
  var error: PostgresError {
    func field(_ code: Int) -> String? { PQresultErrorField(handle, Int32(code)).map { String(cString: $0) } }
    let message = field(PostgresResult.primaryMessage) ?? String(cString: PQresultErrorMessage(handle))
    return PostgresError(
      state: field(PostgresResult.stateField), message: message.split(separator: "\n").first.map(String.init) ?? "",
      outcome: .refused)
  }

  // PG_DIAG_SQLSTATE and PG_DIAG_MESSAGE_PRIMARY, which are characters in macros.
  private static let stateField = Int(UInt8(ascii: "C"))
  private static let primaryMessage = Int(UInt8(ascii: "M"))

  /// The bytes of a value; nil when it is NULL.
  func bytes(_ row: Int, _ column: Int) -> [UInt8]? {
    withBytes(row, column) { Array($0) }
  }

  func text(_ row: Int, _ column: Int) -> String? {
    withBytes(row, column) { String(decoding: $0, as: UTF8.self) }
  }

  /// A value of the types smallint, integer or bigint; nil when it is NULL or of another type.
  func integer(_ row: Int, _ column: Int) -> Int64? {
    withBytes(row, column) { bytes -> Int64? in
      guard [2, 4, 8].contains(bytes.count) else { return nil }
      let isNegative = bytes[0] & 0x80 != 0
      return bytes.reduce(isNegative ? -1 : 0) { $0 << 8 | Int64($1) }
    } ?? nil
  }

  /// A value of these types that counts something; nil also when it is negative, or so large that adding to it could overflow.
  func count(_ row: Int, _ column: Int) -> Int? {
    integer(row, column).flatMap { (0...1 << 56).contains($0) ? Int($0) : nil }
  }

  /// A value of the type double precision.
  func real(_ row: Int, _ column: Int) -> Double? {
    integer(row, column).map { Double(bitPattern: UInt64(bitPattern: $0)) }
  }

  func boolean(_ row: Int, _ column: Int) -> Bool? {
    withBytes(row, column) { $0.first == 1 }
  }

  /// Little-endian f32 in a bytea; nil when it does not hold a whole number of them.
  // SAFETY: the copy is into memory of its own, so libpq's pointer may have any alignment.
  func floats(_ row: Int, _ column: Int) -> [Float]? {
    withBytes(row, column) { bytes -> [Float]? in
      guard bytes.count % 4 == 0 else { return nil }
      return [Float](unsafeUninitializedCapacity: bytes.count / 4) { out, count in
        UnsafeMutableRawBufferPointer(out).copyMemory(from: UnsafeRawBufferPointer(bytes))
        count = bytes.count / 4
      }
    } ?? nil
  }

  private func withBytes<Value>(_ row: Int, _ column: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Value) -> Value? {
    let (row, column) = (Int32(row), Int32(column))
    guard PQgetisnull(handle, row, column) == 0, let start = PQgetvalue(handle, row, column) else { return nil }
    let count = Int(PQgetlength(handle, row, column))
    return start.withMemoryRebound(to: UInt8.self, capacity: count) {
      body(UnsafeBufferPointer(start: $0, count: count))
    }
  }
}
