import JSON

extension Limits {
  /// Reads one text or a list of them.
  ///
  /// - Throws: ``Problem`` naming `field` and the entry; 413 where a limit is passed.
  func oneOrMoreTexts(_ value: JSONValue, field: String) throws(Problem) -> [String] {
    if value.string != nil { return [try text(value, field: field, place: "\(field)[0]")] }
    guard value.kind == .array else { throw .invalid(field, "must be a string or a list of strings") }
    return try texts(value, field: field)
  }

  /// Reads one text.
  ///
  /// - Parameter place: what an error about its length names; `field` unless given.
  func text(_ value: JSONValue, field: String, place: String? = nil) throws(Problem) -> String {
    guard let text = value.string else { throw .invalid(field, "must be a string") }
    try check(text, place: place ?? field)
    return text
  }

  /// Reads a list of texts.
  func texts(_ value: JSONValue, field: String) throws(Problem) -> [String] {
    guard value.kind == .array else { throw .invalid(field, "must be a list of strings") }
    try check(count: value.count, field: field)
    let texts: [String]
    do {
      texts = try value.strings()
    } catch {
      throw Problem(error, field: field)
    }
    for (index, text) in texts.enumerated() { try check(text, place: "\(field)[\(index)]") }
    return texts
  }

  /// Whether the first entry is a string. It asks for all strings, which ends at the first entry when that is not one.
  static func startsWithString(_ value: JSONValue) -> Bool {
    do {
      return try !value.strings().isEmpty
    } catch {
      return error.path != [0]
    }
  }

  private func check(_ text: String, place: String) throws(Problem) {
    // A character is at least one byte: only a text of that many bytes needs counting.
    guard text.utf8.count > maxCharacters, text.unicodeScalars.count > maxCharacters else { return }
    throw Problem(413, "the text has more than the limit of \(maxCharacters) characters", param: place)
  }
}
