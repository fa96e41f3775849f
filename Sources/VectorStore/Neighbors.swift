import SimilarityCore
import VectorIndex

/// What to search for.
public struct NeighborSearch: Sendable {
  /// Neighbours of each query.
  public var k: Int
  public var mode = SearchOptions.Mode.automatic
  /// Recall@10 that the pool is chosen for, 0.5 to 1, where 1 means an exact search; nil for the collection's own target.
  public var recallTarget: Double?
  /// Only points that match are found; nil for all.
  public var filter: Filter?
  /// For each query an id to leave out, or nil; empty when no query leaves one out.
  public var excluding: [String?] = []
  /// The threads that share the queries.
  public var loop = ParallelLoop(threads: 1)

  public init(k: Int) { self.k = k }
}

/// One point that was found. Its vector is read when it is asked for.
public struct Neighbor: Sendable {
  /// Larger is nearer: cosine, dot product or negative Euclidean distance.
  public let score: Double
  let slot: Int
  let record: Record
  /// Where the vector is; nil where it was read with the point.
  let vectors: IndexSnapshot?
  private let held: [Float]

  init(score: Double, slot: Int, record: Record, vectors: IndexSnapshot) {
    (self.score, self.slot, self.record, self.vectors, held) = (score, slot, record, vectors, [])
  }

  /// A neighbour that a database has given.
  package init(score: Double, _ point: Point) {
    self.score = score
    slot = -1
    record = Record(id: point.id, text: point.text, metadata: point.metadata)
    vectors = nil
    held = point.vector
  }

  public var id: String { record.id }
  public var text: String? { record.text }
  /// A JSON object, as text.
  public var metadata: [UInt8]? { record.metadata }
  public var vector: [Float] { vectors?.vector(at: slot) ?? held }

  /// The point; without its vector when that is not wanted.
  public func point(withVector: Bool = true) -> Point {
    Point(id: id, vector: withVector ? vector : [], text: text, metadata: metadata)
  }
}

/// What a search of one snapshot found.
public struct NeighborResult: Sendable {
  /// For each query its neighbours, best first, ties by id.
  public let neighbors: [[Neighbor]]
  /// Whether they were found by walking the graph.
  public var usedGraph: Bool { ef != nil }
  /// The pool of the graph walks; nil for an exact search.
  public let ef: Int?
  /// Recall@10 as measured with such a pool; nil when it has not been measured.
  public let expectedRecall: Double?
  /// The number of points that match the filter; of all points when there is none.
  public let matching: Int

  package init(neighbors: [[Neighbor]], ef: Int?, expectedRecall: Double?, matching: Int) {
    self.neighbors = neighbors
    self.ef = ef
    self.expectedRecall = expectedRecall
    self.matching = matching
  }
}

extension CollectionSnapshot {
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
        IDBytes.precedes(records.id(at: a), records.id(at: b))
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
}

/// A graph, and how well its walks find what an exact search finds.
public struct GraphSummary: Sendable {
  public let nodes: Int
  /// The pool of a search for ten neighbours that gives no pool and no recall; nil where an exact search is as fast.
  public let ef: Int?
  /// Recall@10 as measured with that pool.
  public let expectedRecall: Double
  /// Recall@10 that the pool was chosen for.
  public let target: Double
  /// The number of rows, each before it was linked, that it was measured on; older ones count for less.
  public let rows: Double
  /// The same for queries of clients.
  public let asked: Double
  /// When it was last measured, in seconds since 1970; nil before the first measurement.
  public let measuredAt: Int?
}

/// Recall@10 that the pools of searches are chosen for: 0.5 to 1, where 1 means exact searches.
public struct RecallTarget: Sendable, Equatable {
  public let value: Double

  /// nil for a value outside of that range.
  public init?(_ value: Double) {
    guard (0.5...1).contains(value) else { return nil }
    self.value = value
  }
}

/// What happens to a collection's own recall target.
public enum RecallTargetChange: Sendable, Equatable {
  /// It stays as it is.
  case keep
  /// The collection's own target is removed: the default applies.
  case reset
  /// The collection gets this target.
  case set(RecallTarget)
}
