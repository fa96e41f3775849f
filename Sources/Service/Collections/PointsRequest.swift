import JSON
import Safetensors
import VectorStore

/// The body of `PUT /collections/{name}/points`: points as sent, in either format, texts not embedded yet.
struct PointsRequest: Sendable {
  struct Draft: Sendable {
    let id: String
    let vector: [Float]?
    let text: String?
    let metadata: [UInt8]?
  }

  /// Bytes of UTF-8 that an id may have.
  static let longestID = 512

  let drafts: [Draft]
  /// What embedded the vectors that the body brings along, as an export states it.
  let source: String?
  /// The name of the model that embeds texts, and what stands before them.
  let model: String?
  let prompt: PromptChoice
  /// The body is a list of points; otherwise its parts stand in lists of their own.
  private let isList: Bool

  init(_ root: JSONValue, _ limits: Limits) throws(Problem) {
    var fields = try Fields(root)
    let value = try fields.required("points")
    model = try fields.string("model")
    prompt = try PromptChoice(&fields)
    try fields.finish()
    guard let entries = value.elements else { throw .invalid("points", "must be a list of points") }
    try limits.check(count: entries.count, field: "points")
    var drafts: [Draft] = []
    drafts.reserveCapacity(entries.count)
    for (row, entry) in entries.enumerated() { drafts.append(try Self.draft(entry, "points[\(row)]", limits)) }
    self.drafts = drafts
    source = nil
    isList = true
  }

  /// From a safetensors body: tensor `vectors`, lists `ids`, `metadata` and `texts` in its metadata.
  init(_ archive: SafetensorsArchive, _ limits: Limits) throws {
    let lists = try PointsArchive(archive, limits)
    let vectors = try archive.tensor("vectors").map { try limits.matrix($0, field: "vectors") }
    if let vectors, vectors.rows != lists.ids.count {
      throw Problem.invalid("ids", "has \(lists.ids.count) entries where vectors has \(vectors.rows) rows")
    }
    var drafts: [Draft] = []
    drafts.reserveCapacity(lists.ids.count)
    for (row, id) in lists.ids.enumerated() {
      try Self.check(id, "ids[\(row)]")
      let text = try lists.text(row, limits)
      guard vectors != nil || text != nil else {
        throw Problem.invalid("texts[\(row)]", "a point needs a vector or a text")
      }
      drafts.append(
        Draft(id: id, vector: vectors.map { Array($0.row(row)) }, text: text, metadata: try lists.metadata(row)))
    }
    self.drafts = drafts
    source = lists.model
    model = nil
    prompt = .standing
    isList = false
  }

  /// The points with the vectors that their texts were given, by row.
  func points(_ embedded: [Int: [Float]]) -> [Point] {
    drafts.enumerated().map { row, draft in
      Point(id: draft.id, vector: draft.vector ?? embedded[row] ?? [], text: draft.text, metadata: draft.metadata)
    }
  }

  /// What a store's error about a row of this body means to its sender.
  func problem(_ error: StoreError) -> Problem {
    if !isList, case .duplicateID(let row) = error {
      return .invalid("ids[\(row)]", "the id stands twice in the batch")
    }
    return Problem(error, points: isList ? "points" : "vectors")
  }

  /// The name of a row's text.
  func textField(_ row: Int) -> String { isList ? "points[\(row)].text" : "texts[\(row)]" }

  /// An id that others are to come after: it need not exist, and the empty one precedes all.
  static func check(after id: String) throws(Problem) {
    guard id.utf8.count <= longestID else { throw .invalid("after", "must have at most \(longestID) bytes") }
  }

  static func check(_ id: String, _ field: String) throws(Problem) {
    guard (1...longestID).contains(id.utf8.count) else {
      throw .invalid(field, "must have 1 to \(longestID) bytes")
    }
  }

  /// The texts to embed, with the rows of their points.
  var texts: [(row: Int, text: String)] {
    drafts.enumerated().compactMap { row, draft in
      draft.vector == nil ? draft.text.map { (row, $0) } : nil
    }
  }

  private static func draft(_ value: JSONValue, _ place: String, _ limits: Limits) throws(Problem) -> Draft {
    var fields = try Fields(value, at: place)
    guard let id = try fields.string("id") else { throw .invalid("\(place).id", "is required") }
    try check(id, "\(place).id")
    let vector = try fields.take("vector").map { value throws(Problem) in
      try Self.vector(value, "\(place).vector", limits)
    }
    var text: String?
    if let value = fields.take("text") {
      guard value.kind == .string else { throw .invalid("\(place).text", "must be a string") }
      text = try limits.oneOrMoreTexts(value, field: "\(place).text").first
    }
    guard vector != nil || text != nil else { throw .invalid(place, "needs a vector or a text") }
    var metadata: [UInt8]?
    if let value = fields.take("metadata") {
      guard value.kind == .object else { throw .invalid("\(place).metadata", "must be an object") }
      var writer = JSONWriter()
      writer.copy(value)
      metadata = writer.bytes
    }
    try fields.finish()
    return Draft(id: id, vector: vector, text: text, metadata: metadata)
  }

  private static func vector(_ value: JSONValue, _ field: String, _ limits: Limits) throws(Problem) -> [Float] {
    guard value.kind == .array else { throw .invalid(field, "must be a list of numbers") }
    let tensor = try limits.tensor(value, field: field, rank: 1)
    guard (1...limits.maxDimension).contains(tensor.values.count) else {
      throw .invalid(field, "must have 1 to \(limits.maxDimension) values")
    }
    return tensor.values
  }
}

/// The lists that stand beside the vectors in the `__metadata__` of a safetensors body of points.
struct PointsArchive {
  let ids: [String]
  private let metadata: [JSONValue]?
  private let texts: [JSONValue]?
  /// The model that an exported collection names.
  let model: String?

  /// - Throws: ``Problem`` naming the list and the entry at fault.
  init(_ archive: SafetensorsArchive, _ limits: Limits) throws {
    if let unknown = archive.names.first(where: { $0 != "vectors" }) {
      throw Problem.invalid(unknown, "unknown tensor '\(unknown)'; known: vectors")
    }
    // `format` says which library wrote the file.
    for name in archive.metadata.keys.sorted()
    where !["ids", "metadata", "texts", "collection", "format"].contains(name) {
      throw Problem.invalid(name, "unknown field '\(name)' in __metadata__; known: ids, metadata, texts, collection")
    }
    guard let ids = try Self.value("ids", archive, limits) else { throw Problem.invalid("ids", "is required") }
    self.ids = try limits.texts(ids, field: "ids")
    metadata = try Self.list("metadata", archive, limits, count: self.ids.count)
    texts = try Self.list("texts", archive, limits, count: self.ids.count)
    model = try Self.value("collection", archive, limits)?["model"]?.string
  }

  func metadata(_ row: Int) throws(Problem) -> [UInt8]? {
    guard let value = metadata?[row], !value.isNull else { return nil }
    guard value.kind == .object else { throw .invalid("metadata[\(row)]", "must be an object or null") }
    var writer = JSONWriter()
    writer.copy(value)
    return writer.bytes
  }

  func text(_ row: Int, _ limits: Limits) throws(Problem) -> String? {
    guard let value = texts?[row], !value.isNull else { return nil }
    guard value.kind == .string else { throw .invalid("texts[\(row)]", "must be a string or null") }
    do throws(Problem) {
      return try limits.oneOrMoreTexts(value, field: "texts").first
    } catch {
      throw Problem(error.status, error.detail, param: "texts[\(row)]")
    }
  }

  private static func list(
    _ name: String, _ archive: SafetensorsArchive, _ limits: Limits, count: Int
  ) throws(Problem) -> [JSONValue]? {
    guard let value = try value(name, archive, limits) else { return nil }
    guard let elements = value.elements else { throw .invalid(name, "must be a JSON array") }
    guard elements.count == count else {
      throw .invalid(name, "has \(elements.count) entries where ids has \(count)")
    }
    return elements
  }

  private static func value(
    _ name: String, _ archive: SafetensorsArchive, _ limits: Limits
  ) throws(Problem) -> JSONValue? {
    guard let text = archive.metadata[name] else { return nil }
    do {
      let value = try JSONDocument(Array(text.utf8), maxDepth: limits.maxJSONDepth).root
      return value.isNull ? nil : value
    } catch let error where error.isOutOfMemory {
      throw Problem(error)
    } catch {
      throw .invalid(name, "is not valid JSON: \(error.message)")
    }
  }
}

extension PointsRequest {
  /// Embeds the texts that have no vector of their own, and calls `body` with their vectors by the rows of the points.
  func embed(
    with chosen: CollectionTexts, for call: Call, _ body: @escaping @Sendable ([Int: [Float]]) throws -> Void
  ) throws {
    let embedded = texts
    let prompt = try prompt.text(chosen.texts.encoder, standing: chosen.document)
    let names: TextNames = { textField(embedded[$0].row) }
    let sequences = try chosen.texts.sequences(of: embedded.map(\.text), prompt: prompt, names, for: call)
    try chosen.texts.encode(sequences, names, for: call) { rows in
      var vectors: [Int: [Float]] = [:]
      for (index, entry) in embedded.enumerated() { vectors[entry.row] = Array(rows.row(index)) }
      try body(vectors)
    }
  }
}
