import JSON

/// A JSON value together with the path that leads to it, for errors that name the key.
struct Field {
  let value: JSONValue
  let key: String

  init(_ value: JSONValue, _ key: String) {
    self.value = value
    self.key = key
  }

  /// The member, nil when it is missing or null.
  func optional(_ name: String) -> Field? {
    guard let member = value[name], !member.isNull else { return nil }
    return Field(member, path(name))
  }

  func required(_ name: String) throws(TokenizerError) -> Field {
    guard let field = optional(name) else { throw TokenizerError(key: path(name), message: "is missing") }
    return field
  }

  func elements() throws(TokenizerError) -> [Field] {
    guard let elements = value.elements else { throw refused("must be an array") }
    return elements.enumerated().map { Field($1, "\(key)[\($0)]") }
  }

  func members() throws(TokenizerError) -> [(name: String, field: Field)] {
    guard let members = value.members else { throw refused("must be an object") }
    return members.map { ($0.key, Field($0.value, path($0.key))) }
  }

  func string() throws(TokenizerError) -> String {
    guard let string = value.string else { throw refused("must be a string") }
    return string
  }

  func bool() throws(TokenizerError) -> Bool {
    guard let bool = value.bool else { throw refused("must be true or false") }
    return bool
  }

  func integer(_ range: ClosedRange<Int>) throws(TokenizerError) -> Int {
    guard let integer = value.integer, range.contains(integer) else {
      throw refused("must be an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return integer
  }

  /// An id of the vocabulary. Some millions are more than any vocabulary has, and bound what a broken file can ask for.
  func id() throws(TokenizerError) -> Int32 { Int32(try integer(0...9_999_999)) }

  /// The member `type` must be `supported`.
  func requireType(_ supported: String) throws(TokenizerError) {
    let type = try required("type")
    let name = try type.string()
    if name != supported { throw type.refused("\"\(name)\" is not supported, only \"\(supported)\"") }
  }

  func refused(_ message: String) -> TokenizerError { TokenizerError(key: key, message: message) }

  private func path(_ name: String) -> String { key.hasSuffix(".json") ? "\(key): \(name)" : "\(key).\(name)" }
}
