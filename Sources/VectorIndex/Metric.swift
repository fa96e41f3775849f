/// How two vectors are compared; a larger score is nearer.
public enum Metric: String, Sendable, CaseIterable {
  /// q·x / (‖q‖·‖x‖).
  case cosine
  /// q·x.
  case dot
  /// −‖q − x‖.
  case euclidean

  /// Rows are compared with each other on the stack of a kernel, which has room for so many values.
  private static let mostGraphDimensions = 8192

  /// Whether vectors of `dimension` values may have a graph.
  package func allowsGraph(dimension: Int) -> Bool {
    dimension <= Self.mostGraphDimensions
  }
}
