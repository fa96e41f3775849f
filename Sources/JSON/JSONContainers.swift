import CSimdjson

extension JSONValue {
  /// The elements of an array in order, nil for another kind.
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

  /// The members of an object in the order of the text, nil for another kind.
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

  /// The value of the member named `key`; nil when there is none, or when this is no object.
  public subscript(key: String) -> JSONValue? {
    guard kind == .object else { return nil }
    var key = key
    var value = 0
    let found = key.withUTF8 { csj_find(document.tape, at, $0.baseAddress, $0.count, &value) }
    return found ? JSONValue(document: document, at: value) : nil
  }

  /// An array of strings.
  /// - Throws: `JSONTensorError` naming the first entry that is not a string; an empty path names the value itself.
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

  /// Position of the first child, and one past the last; for a container only.
  private var children: (first: Int, end: Int) {
    var first = 0
    var end = 0
    csj_children_at(document.tape, at, &first, &end)
    return (first, end)
  }
}
