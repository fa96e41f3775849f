import CSimdjson

/// A value in a parsed text: a position in its document, which it keeps alive.
public struct JSONValue: Sendable {
  let document: JSONDocument
  let at: Int

  /// The six kinds of RFC 8259 section 3, `true` and `false` taken together.
  public enum Kind: Sendable {
    case null
    case bool
    case number
    case string
    case array
    case object
  }

  /// What the value is.
  public var kind: Kind {
    switch csj_kind_at(document.tape, at) {
    case CSJ_BOOL: .bool
    case CSJ_NUMBER: .number
    case CSJ_STRING: .string
    case CSJ_ARRAY: .array
    case CSJ_OBJECT: .object
    default: .null
    }
  }

  /// True for `null`.
  public var isNull: Bool { kind == .null }

  /// The value of a `true` or `false`, nil for another kind.
  public var bool: Bool? { kind == .bool ? csj_bool_at(document.tape, at) : nil }

  /// The number as the nearest double, nil for another kind.
  public var double: Double? { kind == .number ? csj_double_at(document.tape, at) : nil }

  /// The number when it is exactly an integer that fits (`5`, and `5.0` too), else nil.
  public var integer: Int? {
    var value: Int64 = 0
    guard kind == .number, csj_integer_at(document.tape, at, &value) else { return nil }
    return Int(exactly: value)
  }

  /// The number when it is exactly an integer of 0 ... 2^64 − 1 (`5`, and `5.0` too), else nil.
  public var natural: UInt64? {
    var value: UInt64 = 0
    guard kind == .number, csj_natural_at(document.tape, at, &value) else { return nil }
    return value
  }

  /// The unescaped text of a string, nil for another kind.
  public var string: String? { kind == .string ? text : nil }

  /// Elements of an array or members of an object, else 0.
  public var count: Int {
    switch kind {
    case .array, .object: csj_count_at(document.tape, at)
    default: 0
    }
  }

  /// The text at a position that is known to hold a string.
  var text: String {
    var length = 0
    let bytes = csj_string_at(document.tape, at, &length)
    // SAFETY: the shim hands out `length` bytes that live as long as the document.
    return String(decoding: UnsafeBufferPointer(start: bytes, count: length), as: UTF8.self)
  }
}
