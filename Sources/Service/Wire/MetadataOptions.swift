import JSON

/// Options in the `__metadata__` of a safetensors body: each value is JSON text, and what is none is taken as that string.
enum MetadataOptions {
  /// The options as a JSON object.
  static func object(_ metadata: [String: String], _ limits: Limits) throws -> JSONValue {
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
