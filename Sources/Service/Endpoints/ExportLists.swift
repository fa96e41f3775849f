import JSON
import VectorStore

/// Ids, metadata and texts of exported points as JSON arrays; null where a point has none.
struct ExportLists {
  private(set) var count = 0
  private var ids = JSONWriter()
  private var metadata = JSONWriter()
  private var texts = JSONWriter()

  /// Reads at most `limit` points after `after`, a page at a time.
  ///
  /// - Parameter isAbandoned: true when nobody waits for the export any more.
  mutating func read(
    _ snapshot: CollectionSnapshot, after: String?, limit: Int, page: Int, isAbandoned: () -> Bool
  ) throws(Problem) {
    ids.beginArray()
    metadata.beginArray()
    texts.beginArray()
    var last = after
    while count < limit {
      guard !isAbandoned() else { throw Problem(503, "the client went away") }
      let wanted = min(page, limit - count)
      let points = snapshot.points(after: last, limit: wanted)
      for point in points { add(point) }
      last = points.last?.id ?? last
      guard points.count == wanted else { break }
    }
    ids.endArray()
    metadata.endArray()
    texts.endArray()
  }

  private mutating func add(_ point: Point) {
    count += 1
    ids.string(point.id)
    if let stored = point.metadata { metadata.raw(stored) } else { metadata.null() }
    texts.string(orNull: point.text)
  }

  /// The `__metadata__` of the export.
  func metadata(collection: [UInt8]) -> [String: String] {
    func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
    return [
      "ids": text(ids.bytes), "metadata": text(metadata.bytes), "texts": text(texts.bytes),
      "collection": text(collection),
    ]
  }
}
