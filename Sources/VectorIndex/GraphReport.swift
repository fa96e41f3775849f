/// What a check of the whole graph found; all zeros (and `nodes`) when it is sound.
public struct GraphReport: Sendable, Equatable {
  /// Slots that must be in the graph.
  public var nodes = 0
  /// Edges in all.
  public var edges = 0
  /// Edges to slots that hold no vector.
  public var dangling = 0
  /// Lists that name a slot twice or their own.
  public var repeated = 0
  /// Vectors that no walk can reach.
  public var unreachable = 0

  public init() {}

  public var isSound: Bool { dangling == 0 && repeated == 0 && unreachable == 0 }
}
