/// A graph as a snapshot sees it.
public struct GraphState: Sendable {
  /// Where searches start.
  let entries: EntryPoints
  /// Slots in the graph, dead ones included that are still walked over.
  public let size: Int
  /// The pool that reaches the recall target on a sample.
  public let ef: Int
  /// Recall@10 of the sample with that pool; nil before it was taken.
  public let sampledRecall: Double?
}
