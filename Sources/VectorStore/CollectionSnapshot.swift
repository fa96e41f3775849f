import SimilarityCore
import VectorIndex

/// One version of a collection, consistent in itself; later writes do not touch it.
public struct CollectionSnapshot: Sendable {
  /// Counts the batches that changed the collection.
  public internal(set) var version: Int
  /// The fingerprint of the model that embedded the collection's texts; nil while it has only seen vectors.
  public internal(set) var model: String?
  /// nil where the default holds.
  var ownRecallTarget: RecallTarget?
  var vectors: IndexSnapshot
  var records = RecordBlocks()
  var order = IDOrder()
  var metadata = MetadataIndex()
  /// The slots in use.
  var live: SlotSet { vectors.live }

  init(version: Int, model: String?, recallTarget: RecallTarget?, vectors: IndexSnapshot) {
    self.version = version
    self.model = model
    ownRecallTarget = recallTarget
    self.vectors = vectors
  }

  /// Recall@10 that searches have which ask for none, where there is a graph.
  public var recallTarget: Double { vectors.defaultTarget }

  /// The graph that searches go over; nil while searches are exact.
  public var graph: GraphSummary? {
    guard let graph = vectors.graph else { return nil }
    let calibration = vectors.calibration
    let pool = vectors.defaultPool
    return GraphSummary(
      nodes: graph.size, ef: pool?.ef, expectedRecall: pool?.expectedRecall ?? 1, target: vectors.defaultTarget,
      rows: calibration.rows.queries, asked: calibration.asked.queries, measuredAt: calibration.measuredAt)
  }

  public var count: Int { records.count }

  /// The point with this id.
  public func point(_ id: String) -> Point? {
    order.slot(of: id, in: records).flatMap(point(at:))
  }

  /// At most `limit` points whose ids come after `after`, in the order of their ids' bytes.
  public func points(after: String?, limit: Int) -> [Point] {
    order.slots(after: after, limit: limit, in: records).compactMap(point(at:))
  }

  /// The ids of the points that `filter` matches, in order.
  func ids(matching filter: Filter) -> [String] {
    var ids: [String] = []
    func take(_ slot: Int) {
      if let record = records[slot] { ids.append(record.id) }
    }
    metadata.matches(filter, among: live).forEach(take)
    return ids.sorted(by: IDBytes.precedes)
  }

  /// The points nearest to each row of `queries`.
  ///
  /// - Throws: ``StoreError`` naming the row of a query that cannot be compared.
  public func nearest(to queries: Matrix, _ search: NeighborSearch) throws(StoreError) -> NeighborResult {
    var options = SearchOptions(k: search.k)
    options.mode = search.mode
    options.recallTarget = search.recallTarget
    options.loop = search.loop
    options.allowed = search.filter.map { metadata.matches($0, among: live) }
    if search.excluding.contains(where: { $0 != nil }) {
      options.excluded = (0..<queries.rows).map { row in
        guard row < search.excluding.count, let id = search.excluding[row] else { return nil }
        return order.slot(of: id, in: self.records)
      }
    }
    let records = self.records
    do throws(IndexError) {
      let found = try vectors.nearest(to: queries, options) { a, b in
        IDBytes.precedes(records[a]?.id ?? "", records[b]?.id ?? "")
      }
      let neighbors = found.neighbors.map { candidates in
        candidates.compactMap { candidate in
          records[candidate.position].map {
            Neighbor(score: candidate.score, slot: candidate.position, record: $0, vectors: vectors)
          }
        }
      }
      return NeighborResult(
        neighbors: neighbors, ef: found.ef, expectedRecall: found.expectedRecall,
        matching: options.allowed?.count ?? count)
    } catch {
      throw StoreError(error)
    }
  }

  private func point(at slot: Int) -> Point? {
    records[slot].map {
      Point(id: $0.id, vector: vectors.vector(at: slot), text: $0.text, metadata: $0.metadata)
    }
  }
}

/// A graph and how well its walks find what the exact search finds.
public struct GraphSummary: Sendable {
  public let nodes: Int
  /// The pool of a search for ten neighbours that asks for nothing; nil where exact search is as fast.
  public let ef: Int?
  /// Recall@10 with that pool as it was measured.
  public let expectedRecall: Double
  /// Recall@10 that the pool was chosen for.
  public let target: Double
  /// Rows, before they were linked, and queries of clients that it was measured on; older ones count for less.
  public let rows: Double
  public let asked: Double
  /// When it was last measured, in seconds since 1970; nil before.
  public let measuredAt: Int?
}

extension StoreError {
  init(_ error: IndexError) {
    switch error {
    case .dimension(let row, let expected, let found): self = .dimension(row: row, expected: expected, found: found)
    case .zeroVector(let row): self = .zeroVector(row: row)
    case .outOfMemory: self = .unavailable("there is not enough memory")
    case .full: self = .full
    case .rowsUnavailable(let reason): self = .unavailable("rows cannot be kept on disk: \(reason)")
    }
  }
}
