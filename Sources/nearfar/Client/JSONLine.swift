import JSON

/// A JSON object that is one line of an input.
struct JSONLine {
  let members: [(key: String, value: JSONValue)]
  private let root: JSONValue

  /// Names that an error lists, at most.
  private static let mostListed = 10

  /// - Returns: nil for a blank line.
  /// - Throws: ``CommandError`` saying what is wrong with the line.
  init?(_ line: LineReader.Line) throws(CommandError) {
    guard line.bytes.contains(where: { ![0x20, 0x09, 0x0D].contains($0) }) else { return nil }
    do {
      root = try JSONDocument(line.bytes, maxDepth: 1024).root
    } catch {
      throw CommandError(error.describing())
    }
    guard let members = root.members else { throw CommandError("not a JSON object") }
    self.members = members
  }

  /// - Throws: ``CommandError`` where there is no such field.
  func field(_ name: String) throws(CommandError) -> JSONValue {
    if let value = root[name] { return value }
    let names = members.prefix(Self.mostListed).map { "'\($0.key)'" }.joined(separator: ", ")
    let more = members.count > Self.mostListed ? " and more" : ""
    throw CommandError(
      "the field '\(name)' is missing; the line has " + (names.isEmpty ? "no fields" : "\(names)\(more)"))
  }

  /// - Throws: ``CommandError`` where there is no such field, or it is not a string.
  func text(_ name: String) throws(CommandError) -> String {
    guard let text = try field(name).string else { throw CommandError("the field '\(name)' is not a string") }
    return text
  }
}
