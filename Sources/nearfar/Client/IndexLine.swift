import JSON

/// One line of an input as a point to be stored.
struct IndexLine {
  let id: String
  /// The point as the service takes it.
  let json: [UInt8]
  let number: Int

  private static let longestID = 512

  /// - Returns: nil for a line without content.
  /// - Throws: ``CommandError`` saying what is wrong with the line.
  init?(_ line: LineReader.Line, _ options: IndexOptions) throws(CommandError) {
    var bytes = line.bytes
    if line.number == 1, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    guard bytes.contains(where: { ![0x20, 0x09, 0x0D].contains($0) }) else { return nil }
    let root: JSONValue
    do {
      root = try JSONDocument(bytes, maxDepth: 1024).root
    } catch {
      throw CommandError("not valid JSON: \(error.message)\(error.byteOffset.map { " at byte \($0)" } ?? "")")
    }
    guard let members = root.members else { throw CommandError("not a JSON object") }
    guard let text = root[options.textField]?.string else {
      throw CommandError("the field '\(options.textField)' is missing or not a string")
    }
    number = line.number
    id = try Self.id(root, line, options)
    var writer = JSONWriter(reserving: bytes.count + 64)
    writer.beginObject()
    writer.key("id")
    writer.string(id)
    writer.key("text")
    writer.string(text)
    let metadata = members.filter { key, _ in
      key != options.textField && key != options.idField && options.metadataFields?.contains(key) ?? true
    }
    if !metadata.isEmpty {
      writer.key("metadata")
      writer.beginObject()
      for (key, value) in metadata {
        writer.key(key)
        writer.copy(value)
      }
      writer.endObject()
    }
    writer.endObject()
    json = writer.bytes
  }

  private static func id(
    _ root: JSONValue, _ line: LineReader.Line, _ options: IndexOptions
  ) throws(CommandError) -> String {
    guard let field = options.idField else { return String(line.number) }
    guard let value = root[field], let id = value.string ?? value.integer.map({ String($0) }) else {
      throw CommandError("the field '\(field)' is missing or neither a string nor a whole number")
    }
    guard (1...longestID).contains(id.utf8.count) else {
      throw CommandError("the field '\(field)' must have 1 to \(longestID) bytes")
    }
    return id
  }
}
