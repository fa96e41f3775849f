import JSON

/// How far an input is indexed, in a small file beside it: what an interrupted run goes on from.
struct IndexProgress: Equatable {
  /// Of the options; see ``IndexOptions/identity(url:)``.
  let identity: String
  /// Everything before it is stored.
  let offset: Int
  let lines: Int
  /// Of the input before `offset`, in hexadecimal.
  let hash: String
  /// The collection's version after the last batch.
  let version: Int

  init(identity: String, _ place: InputPlace, version: Int) {
    self.identity = identity
    offset = place.offset
    lines = place.lines
    hash = String(place.hash, radix: 16)
    self.version = version
  }

  static func path(of input: String) -> String { input + ".nearfar-progress" }

  /// - Returns: nil when there is none, or none that can be read: then all is done from the start, which is harmless.
  static func load(_ path: String) -> IndexProgress? {
    guard let file = try? SystemFile.reading(path), let bytes = try? file.read(most: 65_536),
      let root = try? JSONDocument(bytes).root,
      let identity = root["identity"]?.string, let offset = root["offset"]?.integer, offset >= 0,
      let lines = root["lines"]?.integer, (0...offset).contains(lines), let hash = root["hash"]?.string,
      let version = root["version"]?.integer
    else { return nil }
    return IndexProgress(identity: identity, offset: offset, lines: lines, hash: hash, version: version)
  }

  private init(identity: String, offset: Int, lines: Int, hash: String, version: Int) {
    self.identity = identity
    self.offset = offset
    self.lines = lines
    self.hash = hash
    self.version = version
  }

  /// Replaces the file at once: whoever reads it finds the old content or the new.
  func save(_ path: String) throws(CommandError) {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("identity")
    writer.string(identity)
    writer.key("offset")
    writer.integer(offset)
    writer.key("lines")
    writer.integer(lines)
    writer.key("hash")
    writer.string(hash)
    writer.key("version")
    writer.integer(version)
    writer.endObject()
    let file = try SystemFile.writing(path + ".new")
    try file.write((writer.bytes + [0x0A])[...])
    try file.publish(as: path)
  }

  /// The input begins with what was indexed.
  func matches(_ place: InputPlace) -> Bool { place.offset == offset && String(place.hash, radix: 16) == hash }
}
