import JSON
import VectorStore

/// The body of `PATCH /collections/{name}/points`: new metadata for stored points.
struct MetadataRequest: Sendable {
  let changes: [MetadataChange]
  let mode: MetadataChange.Mode

  /// - Throws: ``Problem`` naming the field and the point.
  init(_ root: JSONValue, _ limits: Limits) throws(Problem) {
    var fields = try Fields(root)
    let value = try fields.required("points")
    let name = try fields.choice("mode", of: MetadataChange.Mode.allCases.map(\.rawValue))
    let mode = MetadataChange.Mode(rawValue: name) ?? .merge
    try fields.finish()
    guard let entries = value.elements else { throw .invalid("points", "must be a list of points") }
    try limits.check(count: entries.count, field: "points")
    var changes: [MetadataChange] = []
    changes.reserveCapacity(entries.count)
    for (row, entry) in entries.enumerated() {
      changes.append(try Self.change(entry, "points[\(row)]", mode))
    }
    self.changes = changes
    self.mode = mode
  }

  private static func change(
    _ value: JSONValue, _ place: String, _ mode: MetadataChange.Mode
  ) throws(Problem) -> MetadataChange {
    var fields = try Fields(value, at: place)
    guard let id = try fields.string("id") else { throw .invalid("\(place).id", "is required") }
    try PointsRequest.check(id, "\(place).id")
    let isNull = fields.isNull("metadata")
    let metadata = fields.take("metadata")
    try fields.finish()
    guard let metadata else {
      // Without metadata a point has none any more, which only a replacement can mean.
      guard isNull, mode == .replace else { throw .invalid("\(place).metadata", "is required") }
      return MetadataChange(id: id, metadata: nil)
    }
    guard metadata.kind == .object else { throw .invalid("\(place).metadata", "must be an object") }
    var writer = JSONWriter()
    writer.copy(metadata)
    return MetadataChange(id: id, metadata: writer.bytes)
  }
}
