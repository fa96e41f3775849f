import SimilarityCore
import VectorIndex

/// One version of a collection, consistent in itself.
public struct CollectionSnapshot: Sendable {
  /// Counts the batches that changed the collection.
  public private(set) var version = 0
  /// The fingerprint of the model that embedded the collection's texts; nil while it has only seen vectors.
  public private(set) var model: String?
  private let index: VectorIndex
  private var vectors: IndexSnapshot
  /// By slot.
  private var records: [Int: Record] = [:]
  private var positions: [String: Int] = [:]

  init(dimension: Int) {
    index = VectorIndex(dimension: dimension, metric: .cosine)
    vectors = index.snapshot
  }

  public var count: Int { records.count }

  /// The point with this id.
  public func point(_ id: String) -> Point? {
    positions[id].flatMap { point(at: $0) }
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
    guard let queries = Matrix(rows: 1, columns: query.count, values: Array(query)) else { return [] }
    var options = SearchOptions(k: k)
    if let slot = excluding.flatMap({ positions[$0] }) { options.excluded = [slot] }
    let records = records
    do throws(IndexError) {
      let found = try vectors.nearest(to: queries, options) {
        Self.precedes(records[$0]?.id ?? "", records[$1]?.id ?? "")
      }
      return found.neighbors[0].compactMap { candidate in
        point(at: candidate.position).map { Neighbor(point: $0, score: candidate.score) }
      }
    } catch {
      switch error {
      case .dimension(_, let expected, let found): throw .dimension(row: row, expected: expected, found: found)
      case .zeroVector, .outOfMemory: throw .zeroVector(row: row)
      }
    }
  }

  private func point(at slot: Int) -> Point? {
    records[slot].map {
      Point(id: $0.id, vector: vectors.vector(at: slot), text: $0.text, metadata: $0.metadata)
    }
  }

  /// Order of UTF-8 bytes: the same everywhere, whatever the locale.
  private static func precedes(_ a: String, _ b: String) -> Bool {
    a.utf8.lexicographicallyPrecedes(b.utf8)
  }

  /// `upserts` have been checked: dimension right, not zero, no id twice.
  mutating func apply(upserts: [Point], model: String?) -> Int {
    let slots = try? index.apply(
      removing: upserts.compactMap { positions[$0.id] }, adding: upserts.flatMap(\.vector))
    for (point, slot) in zip(upserts, slots ?? []) {
      if let old = positions[point.id] { records[old] = nil }
      records[slot] = Record(id: point.id, text: point.text, metadata: point.metadata)
      positions[point.id] = slot
    }
    vectors = index.snapshot
    if let model { self.model = model }
    version += 1
    return version
  }

  mutating func apply(deletes ids: [String]) -> (version: Int, deleted: Int) {
    let removed = ids.compactMap { positions.removeValue(forKey: $0) }
    for slot in removed { records[slot] = nil }
    _ = try? index.apply(removing: removed, adding: [])
    vectors = index.snapshot
    let deleted = removed.count
    if deleted > 0 { version += 1 }
    return (version, deleted)
  }
}
