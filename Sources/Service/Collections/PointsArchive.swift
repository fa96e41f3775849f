import JSON
import Safetensors

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
    } catch {
      throw .invalid(name, "is not valid JSON: \(error.message)")
    }
  }
}
