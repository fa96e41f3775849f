import SimilarityCore
import VectorIndex

/// What neighbours are asked for.
public struct NeighborSearch: Sendable {
  /// Neighbours of each query.
  public var k: Int
  public var mode = SearchOptions.Mode.automatic
  /// Recall@10 that the pool is chosen for, in 0.5 ... 1, where 1 is exact; nil for the collection's own.
  public var recallTarget: Double?
  /// Only points that it matches; nil for all.
  public var filter: Filter?
  /// For each query an id to leave out, or nil; empty when there is none.
  public var excluding: [String?] = []
  /// The threads that share the queries.
  public var loop = ParallelLoop(threads: 1)

  public init(k: Int) { self.k = k }
}

/// One found point. Its vector is read when asked for.
public struct Neighbor: Sendable {
  /// The larger, the nearer: cosine, dot product or negative Euclidean distance.
  public let score: Double
  let slot: Int
  let record: Record
  let vectors: IndexSnapshot

  public var id: String { record.id }
  public var text: String? { record.text }
  /// A JSON object, as text.
  public var metadata: [UInt8]? { record.metadata }
  public var vector: [Float] { vectors.vector(at: slot) }

  /// The point; without its vector when that is not wanted.
  public func point(withVector: Bool = true) -> Point {
    Point(id: id, vector: withVector ? vector : [], text: text, metadata: metadata)
  }
}

/// What a search of one snapshot found.
public struct NeighborResult: Sendable {
  /// For each query its neighbours, best first, ties by id.
  public let neighbors: [[Neighbor]]
  /// How they were found.
  public var usedGraph: Bool { ef != nil }
  /// The pool of the walks; nil for the exact search.
  public let ef: Int?
  /// Recall@10 as it was measured with such a pool; nil when it was not.
  public let expectedRecall: Double?
  /// Points that the filter matched; all points without one.
  public let matching: Int
}
