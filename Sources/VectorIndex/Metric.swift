/// How two vectors are compared; a larger score is nearer.
public enum Metric: String, Sendable, CaseIterable {
  /// q·x / (‖q‖·‖x‖).
  case cosine
  /// q·x.
  case dot
  /// −‖q − x‖.
  case euclidean
}
