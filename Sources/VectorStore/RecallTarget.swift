/// Recall@10 that the pools of searches are chosen for: 0.5 to 1, where 1 is exact.
public struct RecallTarget: Sendable, Equatable {
  public let value: Double

  /// nil for a value that is no such recall.
  public init?(_ value: Double) {
    guard (0.5...1).contains(value) else { return nil }
    self.value = value
  }
}

/// What is to become of a collection's own recall target.
public enum RecallTargetChange: Sendable, Equatable {
  /// It stays as it is.
  case keep
  /// The collection has none of its own any more: the default holds.
  case reset
  case set(RecallTarget)
}
