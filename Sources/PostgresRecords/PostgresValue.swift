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

  /// nil for NULL.
  var encoded: [UInt8]? {
    switch self {
    case .integer(let value): Self.bigEndian(UInt64(bitPattern: value))
    case .optionalReal(let value): value.map { Self.bigEndian($0.bitPattern) }
    case .bytes(let bytes): bytes
    case .text(let text): text.map { Array($0.utf8) }
    case .integers(let values):
      Self.array(of: 20, count: values.count, hasNull: false, bytes: values.count * 12) { out in
        for value in values {
          Self.append(UInt32(8), to: &out)
          out.append(contentsOf: Self.bigEndian(UInt64(bitPattern: value)))
        }
      }
    case .byteArrays(let values): Self.array(of: 17, values)
    case .texts(let values): Self.array(of: 25, values)
    case .reals(let values):
      Self.array(of: 700, count: values.count, hasNull: false, bytes: values.count * 8) { out in
        for value in values {
          Self.append(UInt32(4), to: &out)
          Self.append(value.bitPattern, to: &out)
        }
      }
    case .doubles(let values):
      Self.array(of: 701, count: values.count, hasNull: false, bytes: values.count * 12) { out in
        for value in values {
          Self.append(UInt32(8), to: &out)
          out.append(contentsOf: Self.bigEndian(value.bitPattern))
        }
      }
    }
  }

  private static func array(of type: UInt32, _ values: [[UInt8]?]) -> [UInt8] {
    array(
      of: type, count: values.count, hasNull: values.contains { $0 == nil },
      bytes: values.reduce(0) { $0 + 4 + ($1?.count ?? 0) }
    ) { out in
      for value in values {
        append(value.map { UInt32(truncatingIfNeeded: $0.count) } ?? UInt32.max, to: &out)
        if let value { out.append(contentsOf: value) }
      }
    }
  }

  /// An array of one dimension: the number of dimensions, whether there is a NULL, the type, the length and the first index;
  /// then each value behind its length, which is -1 for NULL.
  private static func array(
    of type: UInt32, count: Int, hasNull: Bool, bytes: Int, _ values: (inout [UInt8]) -> Void
  ) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(20 + bytes)
    append(count == 0 ? 0 : 1, to: &out)
    append(hasNull ? 1 : 0, to: &out)
    append(type, to: &out)
    guard count > 0 else { return out }
    append(UInt32(truncatingIfNeeded: count), to: &out)
    append(1, to: &out)
    values(&out)
    return out
  }

  private static func append(_ value: UInt32, to out: inout [UInt8]) {
    withUnsafeBytes(of: value.bigEndian) { out.append(contentsOf: $0) }
  }

  private static func bigEndian(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
}
