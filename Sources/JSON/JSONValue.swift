import CSimdjson

/// A value in a parsed text. It holds its position in the document, and keeps the document alive.
public struct JSONValue: Sendable {
  let document: JSONDocument
  let at: Int

  /// The kinds of values of RFC 8259, section 3, with `true` and `false` taken as one.
  public enum Kind: Sendable {
    case null
    case bool
    case number
    case string
    case array
    case object
  }

  /// The kind of the value.
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

  /// Whether the value is `null`.
  public var isNull: Bool { kind == .null }

  /// The value of `true` or `false`; nil for another kind.
  public var bool: Bool? { kind == .bool ? csj_bool_at(document.tape, at) : nil }

  /// The number as the nearest double; nil for another kind.
  public var double: Double? { kind == .number ? csj_double_at(document.tape, at) : nil }

  /// The number when it is an integer that an `Int` holds exactly (`5`, and `5.0` too); nil otherwise.
  public var integer: Int? {
    var value: Int64 = 0
    guard kind == .number, csj_integer_at(document.tape, at, &value) else { return nil }
    return Int(exactly: value)
  }

  /// The number when it is an integer from 0 to 2^64 − 1 (`5`, and `5.0` too); nil otherwise.
  public var natural: UInt64? {
    var value: UInt64 = 0
    guard kind == .number, csj_natural_at(document.tape, at, &value) else { return nil }
    return value
  }

  /// The unescaped text of a string; nil for another kind.
  public var string: String? { kind == .string ? text : nil }

  /// The number of elements of an array or of members of an object; 0 for another kind.
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
    // SAFETY: the pointer is to `length` bytes, which live as long as the document.
    return String(decoding: UnsafeBufferPointer(start: bytes, count: length), as: UTF8.self)
  }
}

// MARK: Arrays and objects

extension JSONValue {
  /// The elements of an array in order; nil for another kind.
  public var elements: [JSONValue]? {
    guard kind == .array else { return nil }
    var result: [JSONValue] = []
    result.reserveCapacity(count)
    var (next, end) = children
    while next < end {
      result.append(JSONValue(document: document, at: next))
      next = csj_after(document.tape, next)
    }
    return result
  }

  /// The members of an object in the order of the text; nil for another kind.
  public var members: [(key: String, value: JSONValue)]? {
    guard kind == .object else { return nil }
    var result: [(key: String, value: JSONValue)] = []
    result.reserveCapacity(count)
    var (next, end) = children
    while next < end {
      let value = JSONValue(document: document, at: csj_after(document.tape, next))
      result.append((key: JSONValue(document: document, at: next).text, value: value))
      next = csj_after(document.tape, value.at)
    }
    return result
  }

  /// The value of the member named `key`; nil when there is none, or when this is not an object.
  public subscript(key: String) -> JSONValue? {
    guard kind == .object else { return nil }
    var key = key
    var value = 0
    let found = key.withUTF8 { csj_find(document.tape, at, $0.baseAddress, $0.count, &value) }
    return found ? JSONValue(document: document, at: value) : nil
  }

  /// The strings of an array.
  /// - Throws: `JSONTensorError` naming the first entry that is not a string; an empty path stands for the value
  ///   itself.
  public func strings() throws(JSONTensorError) -> [String] {
    guard kind == .array else { throw JSONTensorError(path: [], reason: .notAString) }
    var result: [String] = []
    result.reserveCapacity(count)
    var (next, end) = children
    while next < end {
      guard csj_kind_at(document.tape, next) == CSJ_STRING else {
        throw JSONTensorError(path: [result.count], reason: .notAString)
      }
      result.append(JSONValue(document: document, at: next).text)
      next = csj_after(document.tape, next)
    }
    return result
  }

  /// The position of the first child, and one past the last. Only for arrays and objects.
  private var children: (first: Int, end: Int) {
    var first = 0
    var end = 0
    csj_children_at(document.tape, at, &first, &end)
    return (first, end)
  }
}
