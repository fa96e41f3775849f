import JSON

/// One line of an input as a point to be stored.
struct IndexLine {
  let id: String
  /// Unicode scalars of the text, by which the service limits it.
  let characters: Int
  /// The point as the service takes it.
  let json: [UInt8]
  /// The line's, from 1 on.
  let number: Int

  private static let longestID = 512

  /// - Returns: nil for a blank line.
  /// - Throws: ``CommandError`` saying what is wrong with the line.
  init?(_ line: LineReader.Line, _ options: IndexCommand.Options) throws(CommandError) {
    guard let object = try JSONLine(line) else { return nil }
    let text = try object.text(options.textField)
    number = line.number
    characters = text.unicodeScalars.count
    id =
      try options.idField.map { name throws(CommandError) in try Self.id(try object.field(name), name) }
      ?? String(number)
    var writer = JSONWriter(reserving: line.bytes.count + 64)
    writer.beginObject()
    writer.key("id")
    writer.string(id)
    writer.key("text")
    writer.string(text)
    let metadata = object.members.filter { key, _ in
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

  private static func id(_ value: JSONValue, _ field: String) throws(CommandError) -> String {
    guard let id = value.string ?? value.integer.map({ String($0) }) else {
      throw CommandError("the field '\(field)' is neither a string nor a whole number")
    }
    guard (1...longestID).contains(id.utf8.count) else {
      throw CommandError("the field '\(field)' must have 1 to \(longestID) bytes")
    }
    return id
  }
}

/// Points that go to the service in one request.
struct IndexBatch {
  /// A batch of so many bytes is full, however few points it has.
  private static let mostBytes = 4 << 20

  private(set) var points: [IndexLine] = []
  /// Where the line behind the last point begins.
  private(set) var end = InputPlace()
  private var ends: [InputPlace] = []
  private var ids: Set<String> = []
  private var bytes = 0

  func isFull(_ most: Int) -> Bool { points.count >= most || bytes >= Self.mostBytes }

  func contains(_ id: String) -> Bool { ids.contains(id) }

  /// - Parameter end: where the line behind the point's begins.
  mutating func add(_ point: IndexLine, end: InputPlace) {
    points.append(point)
    ends.append(end)
    ids.insert(point.id)
    bytes += point.json.count
    self.end = end
  }

  mutating func remove(_ index: Int) {
    let point = points.remove(at: index)
    ends.remove(at: index)
    ids.remove(point.id)
    bytes -= point.json.count
  }

  /// The points of lines before `line`.
  func before(_ line: Int) -> IndexBatch {
    var batch = IndexBatch()
    for (point, end) in zip(points, ends) where point.number < line { batch.add(point, end: end) }
    return batch
  }

  /// `12 to 75`.
  var lines: String { "\(points.first?.number ?? 0) to \(points.last?.number ?? 0)" }

  /// The body of `PUT /collections/{name}/points`.
  var body: [UInt8] {
    var writer = JSONWriter(reserving: bytes + 64)
    writer.beginObject()
    writer.key("points")
    writer.beginArray()
    for point in points { writer.raw(point.json) }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }
}

/// How many different ids there have been. Only 64 bits of each are kept: with ten million ids the count is too small by
/// one in one run of some 400,000.
struct DistinctIDs {
  private var hashes: Set<Int> = []

  var count: Int { hashes.count }

  /// Ids differ by their bytes, where `String` takes canonically equivalent texts as equal.
  mutating func insert(_ id: String) { hashes.insert(Array(id.utf8).hashValue) }
}
