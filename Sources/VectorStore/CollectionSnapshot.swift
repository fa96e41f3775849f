import VectorIndex

/// One version of a collection, consistent in itself.
public struct CollectionSnapshot: Sendable {
  /// Counts the batches that changed the collection.
  public private(set) var version = 0
  /// The fingerprint of the model that embedded the collection's texts; nil while it has only seen vectors.
  public private(set) var model: String?
  private var index: ExactIndex
  private var records = BlockArray<Record>()
  private var positions: [String: Int] = [:]

  init(dimension: Int) {
    index = ExactIndex(dimension: dimension)
  }

  public var count: Int { records.count }

  /// The point with this id.
  public func point(_ id: String) -> Point? {
    positions[id].map { point(at: $0) }
  }

  /// At most `limit` points whose ids come after `after`, in the order of their ids' bytes.
  public func points(after: String?, limit: Int) -> [Point] {
    let ids = positions.keys.filter { id in after.map { Self.precedes($0, id) } ?? true }
    return ids.sorted(by: Self.precedes).prefix(max(0, limit)).compactMap { point($0) }
  }

  /// One found point.
  public struct Neighbor: Sendable {
    public let point: Point
    /// Cosine similarity.
    public let score: Double
  }

  /// The `k` points nearest to each query, best first, ties by id.
  ///
  /// - Parameter excluding: for each query an id to leave out, or nil.
  /// - Throws: ``StoreError`` naming the row of a query that cannot be compared.
  public func nearest(
    to query: ArraySlice<Float>, row: Int, k: Int, excluding: String? = nil
  ) throws(StoreError) -> [Neighbor] {
    do throws(IndexError) {
      let found = try index.nearest(to: query, k: k, excluding: excluding.flatMap { positions[$0] }) {
        Self.precedes(records[$0].id, records[$1].id)
      }
      return found.map { Neighbor(point: point(at: $0.position), score: $0.score) }
    } catch {
      switch error {
      case .dimension(let expected, let found): throw .dimension(row: row, expected: expected, found: found)
      case .zeroVector: throw .zeroVector(row: row)
      }
    }
  }

  private func point(at position: Int) -> Point {
    let record = records[position]
    return Point(
      id: record.id, vector: Array(index.vector(at: position)), text: record.text, metadata: record.metadata)
  }

  /// Order of UTF-8 bytes: the same everywhere, whatever the locale.
  private static func precedes(_ a: String, _ b: String) -> Bool {
    a.utf8.lexicographicallyPrecedes(b.utf8)
  }

  /// `upserts` have been checked: dimension right, not zero, no id twice.
  mutating func apply(upserts: [Point], model: String?) -> Int {
    for point in upserts {
      let record = Record(id: point.id, text: point.text, metadata: point.metadata)
      if let position = positions[point.id] {
        guard (try? index.replace(at: position, with: point.vector[...])) != nil else { continue }
        records[position] = record
      } else {
        guard (try? index.append(point.vector[...])) != nil else { continue }
        positions[point.id] = records.count
        records.append(record)
      }
    }
    if let model { self.model = model }
    version += 1
    return version
  }

  mutating func apply(deletes ids: [String]) -> (version: Int, deleted: Int) {
    var deleted = 0
    for id in ids {
      guard let position = positions.removeValue(forKey: id) else { continue }
      index.remove(at: position)
      records.swapRemove(at: position)
      if position < records.count { positions[records[position].id] = position }
      deleted += 1
    }
    if deleted > 0 { version += 1 }
    return (version, deleted)
  }
}
