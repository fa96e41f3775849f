/// A graph as a snapshot sees it.
public struct GraphState: Sendable {
  /// Where searches start.
  let entries: EntryPoints
  /// Slots in the graph, dead ones included that are still walked over.
  public let size: Int
}
