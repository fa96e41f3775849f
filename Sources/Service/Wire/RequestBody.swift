import JSON
import Safetensors
import SimilarityCore

/// The body of a request in either of the formats that batches travel in.
///
/// JSON holds rows and options as members of one object. Safetensors holds rows as tensors, and options as JSON text in its metadata.
/// The names are the same, so an endpoint reads both formats with the same lines.
struct RequestBody {
  /// The options; of a JSON body also the rows.
  var fields: Fields
  /// nil for a JSON body.
  private let tensors: [String: TensorView]?
  private let limits: Limits

  /// Reads the body of `call`, which is taken from it.
  ///
  /// - Parameter known: names of the tensors that a safetensors body may hold.
  /// - Throws: `JSONParseError`, `SafetensorsError`, or ``Problem`` for an unknown tensor or a body that cannot be decompressed.
  init(_ call: Call, tensors known: [String], _ limits: Limits) throws {
    guard call.bodyType == .safetensors else {
      self.init(fields: try Fields(try call.json(limits)), tensors: nil, limits: limits)
      return
    }
    let archive = try SafetensorsArchive(try call.takeBody(limits))
    if let unknown = archive.names.first(where: { !known.contains($0) }) {
      throw Problem.invalid(unknown, "unknown tensor '\(unknown)'; known: \(known.joined(separator: ", "))")
    }
    var tensors: [String: TensorView] = [:]
    for name in archive.names { tensors[name] = archive.tensor(name) }
    try self.init(tensors: tensors, options: archive.metadata, limits)
  }

  /// - Parameter options: by name, each value as JSON text; what is not JSON is taken as that string.
  init(tensors: [String: TensorView], options: [String: String], _ limits: Limits) throws {
    self.init(fields: try Fields(try Self.object(options, limits)), tensors: tensors, limits: limits)
  }

  private init(fields: Fields, tensors: [String: TensorView]?, limits: Limits) {
    self.fields = fields
    self.tensors = tensors
    self.limits = limits
  }

  /// Vectors or texts; nil when there are none of that name.
  ///
  /// - Parameter mayBeGrouped: also N groups of equally many rows.
  mutating func rows(_ name: String, mayBeGrouped: Bool = false) throws -> Rows? {
    guard let tensors else {
      return try fields.take(name).map { try limits.rows($0, field: name, mayBeGrouped: mayBeGrouped) }
    }
    return try tensors[name].map { try limits.rows($0, field: name, mayBeGrouped: mayBeGrouped) }
  }

  /// The vectors of that tensor; nil for a JSON body, whose rows are among the fields.
  func tensor(_ name: String) throws -> Matrix? {
    try tensors?[name].map { try limits.matrix($0, field: name) }
  }

  /// A list of whole numbers, or a vector of I32 or I64.
  mutating func integers(_ name: String) throws -> [Int]? {
    guard let tensors else { return try fields.integers(name) }
    return try tensors[name].map { try $0.integers(field: name) }
  }

  /// The metadata of a safetensors body as a JSON object.
  private static func object(_ metadata: [String: String], _ limits: Limits) throws -> JSONValue {
    var writer = JSONWriter()
    writer.beginObject()
    // `format` says which library wrote the file.
    for (name, text) in metadata.sorted(by: { $0.key < $1.key }) where name != "format" {
      writer.key(name)
      let bytes = Array(text.utf8)
      if (try? JSONDocument(bytes, maxDepth: limits.maxJSONDepth)) != nil {
        writer.raw(bytes)
      } else {
        writer.string(text)
      }
    }
    writer.endObject()
    return try JSONDocument(writer.bytes, maxDepth: limits.maxJSONDepth + 1).root
  }
}
