import JSON

/// Reads the fields out of metadata, as ``Filter`` defines them.
enum MetadataFields {
  /// Arrays and objects within one another, in metadata that is read.
  static let depth = 64

  /// Calls `emit` with every field and one of its values, or nil where a member holds an array or an object. A field with
  /// several values comes several times; the same value may come twice. Bytes that are no JSON object have no fields.
  static func forEach(in metadata: [UInt8]?, _ emit: (ByteText, FilterValue?) -> Void) {
    guard let metadata, let document = try? JSONDocument(metadata, maxDepth: depth) else { return }
    members(of: document.root, of: nil, emit)
  }

  private static func members(
    of object: JSONValue, of parent: String?, _ emit: (ByteText, FilterValue?) -> Void
  ) {
    for (key, value) in object.members ?? [] {
      let path = parent.map { "\($0).\(key)" } ?? key
      guard path.utf8.count <= FilterLimits.fieldBytes else { continue }
      let scalar = FilterValue(value)
      emit(ByteText(path), scalar)
      if scalar == nil { contents(of: value, path, emit) }
    }
  }

  /// What is in the array or object that a field holds.
  private static func contents(of value: JSONValue, _ path: String, _ emit: (ByteText, FilterValue?) -> Void) {
    guard let elements = value.elements else { return members(of: value, of: path, emit) }
    for element in elements {
      if let scalar = FilterValue(element) {
        emit(ByteText(path), scalar)
      } else {
        contents(of: element, path, emit)
      }
    }
  }
}
