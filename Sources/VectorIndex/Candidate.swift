/// A candidate of a search.
public struct Candidate: Sendable, Equatable {
  /// The position of its row.
  public let position: Int
  /// The larger, the nearer.
  public let score: Double

  public init(position: Int, score: Double) {
    self.position = position
    self.score = score
  }
}
