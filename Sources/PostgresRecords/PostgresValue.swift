/// A parameter of a statement, in PostgreSQL's binary format. Nothing that a client sends becomes part of a statement's text.
enum PostgresValue {
  case integer(Int64)
  case optionalReal(Double?)
  case bytes([UInt8]?)
  case text(String?)
  /// bigint[].
  case integers([Int64])
  /// bytea[].
  case byteArrays([[UInt8]?])
  /// real[].
  case reals([Float])
  /// double precision[].
  case doubles([Double])
  /// text[], each as its UTF-8.
  case texts([[UInt8]])

  /// PostgreSQL's number of the type (its catalogue `pg_type`).
  var type: UInt32 {
    switch self {
    case .integer: 20
    case .optionalReal: 701
    case .bytes: 17
    case .text: 25
    case .integers: 1016
    case .byteArrays: 1001
    case .reals: 1021
    case .doubles: 1022
    case .texts: 1009
    }
  }

  /// No fewer than it is encoded in.
  var mostBytes: Int {
    switch self {
    case .integer, .optionalReal: 8
    case .bytes(let bytes): bytes?.count ?? 0
    case .text(let text): text?.utf8.count ?? 0
    case .integers(let values): Self.headBytes + values.count * 12
    case .doubles(let values): Self.headBytes + values.count * 12
    case .reals(let values): Self.headBytes + values.count * 8
    case .byteArrays(let values): Self.headBytes + values.reduce(0) { $0 + 4 + ($1?.count ?? 0) }
    case .texts(let values): Self.headBytes + values.reduce(0) { $0 + 4 + $1.count }
    }
  }

  /// Appends the value to `out`.
  ///
  /// - Returns: false for NULL.
  func encode(to out: inout [UInt8]) -> Bool {
    switch self {
    case .integer(let value): Self.append(UInt64(bitPattern: value), to: &out)
    case .optionalReal(let value):
      guard let value else { return false }
      Self.append(value.bitPattern, to: &out)
    case .bytes(let bytes):
      guard let bytes else { return false }
      out.append(contentsOf: bytes)
    case .text(let text):
      guard let text else { return false }
      out.append(contentsOf: text.utf8)
    case .integers(let values):
      Self.appendHead(of: 20, count: values.count, to: &out)
      for value in values {
        Self.append(UInt32(8), to: &out)
        Self.append(UInt64(bitPattern: value), to: &out)
      }
    case .byteArrays(let values):
      Self.appendHead(of: 17, count: values.count, hasNull: values.contains { $0 == nil }, to: &out)
      for value in values {
        Self.append(value.map { UInt32(truncatingIfNeeded: $0.count) } ?? UInt32.max, to: &out)
        if let value { out.append(contentsOf: value) }
      }
    case .texts(let values):
      Self.appendHead(of: 25, count: values.count, to: &out)
      for value in values {
        Self.append(UInt32(truncatingIfNeeded: value.count), to: &out)
        out.append(contentsOf: value)
      }
    case .reals(let values):
      Self.appendHead(of: 700, count: values.count, to: &out)
      // Vectors are long, so all of them go over at once.
      var words = [UInt32](repeating: UInt32(4).bigEndian, count: 2 * values.count)
      for place in values.indices { words[2 * place + 1] = values[place].bitPattern.bigEndian }
      words.withUnsafeBytes { out.append(contentsOf: $0) }
    case .doubles(let values):
      Self.appendHead(of: 701, count: values.count, to: &out)
      for value in values {
        Self.append(UInt32(8), to: &out)
        Self.append(value.bitPattern, to: &out)
      }
    }
    return true
  }

  private static let headBytes = 20

  /// Begins an array of one dimension: the number of dimensions, whether there is a NULL, the type, the length and the first index.
  /// Each value follows behind its length, which is -1 for NULL.
  private static func appendHead(of type: UInt32, count: Int, hasNull: Bool = false, to out: inout [UInt8]) {
    append(count == 0 ? UInt32(0) : 1, to: &out)
    append(hasNull ? UInt32(1) : 0, to: &out)
    append(type, to: &out)
    guard count > 0 else { return }
    append(UInt32(truncatingIfNeeded: count), to: &out)
    append(UInt32(1), to: &out)
  }

  private static func append(_ value: some FixedWidthInteger, to out: inout [UInt8]) {
    withUnsafeBytes(of: value.bigEndian) { out.append(contentsOf: $0) }
  }
}
