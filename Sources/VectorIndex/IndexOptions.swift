/// How an index is built.
public struct IndexOptions: Sendable {
  /// Vectors from which on a graph is kept (docs/benchmarks.md: below, streaming all codes is as fast).
  public var graphThreshold = 10_000
  /// Neighbours that pruning leaves a slot; lists have room for some more before they are pruned.
  public var degree = 63
  /// The pool of the search for a new slot's neighbours.
  public var efConstruction = 96
  /// Recall@10 that the pool of a search is chosen for, until ``VectorIndex/setRecallTarget(_:)`` says otherwise.
  public var recallTarget = 0.97
  /// A folder for the f32 rows, which are then on disk and mapped; nil keeps them in memory. Codes and graph are in memory.
  public var rowFolder: String?
  /// Threads that build.
  public var threads = 1

  public init() {}
}
