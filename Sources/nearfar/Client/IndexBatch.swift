import JSON

/// Points that go to the service together.
struct IndexBatch {
  /// Beyond so many bytes a batch is full, however few its points are.
  private static let mostBytes = 4 << 20

  private(set) var points: [IndexLine] = []
  /// Behind the last line.
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
    ids.remove(points.remove(at: index).id)
    ends.remove(at: index)
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
