import SimilarityCore

/// How a batch of queries is to be searched.
public struct SearchOptions: Sendable {
  public enum Mode: Sendable, Equatable {
    /// The graph where there is one and it pays, the exact search elsewhere.
    case automatic
    case exact
    /// The graph with a pool of this many candidates, or its own choice.
    case graph(ef: Int?)
  }

  /// Neighbours of each query.
  public var k: Int
  public var mode = Mode.automatic
  /// Recall@10 that the pool is chosen for, in 0.5 ... 1, where 1 is exact; nil for the index's own.
  public var recallTarget: Double?
  /// Only these slots are found; nil for all.
  public var allowed: SlotSet?
  /// For each query a slot to leave out; empty when there is none.
  public var excluded: [Int?] = []
  /// The threads that share the queries.
  public var loop = ParallelLoop(threads: 1)

  public init(k: Int) { self.k = k }
}

/// What a search found.
public struct SearchResult: Sendable {
  /// For each query its neighbours, best first; ties in the order that the caller gave.
  public var neighbors: [[Candidate]]
  /// How they were found.
  public var usedGraph: Bool { ef != nil }
  /// The pool of the walks; nil for the exact search.
  public var ef: Int?
  /// Recall@10 as it was measured with such a pool; nil when it was not.
  public var expectedRecall: Double?

  init(neighbors: [[Candidate]], plan: SearchPlan) {
    self.neighbors = neighbors
    (ef, expectedRecall) = (plan.ef, plan.expectedRecall)
  }
}
