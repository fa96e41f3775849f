/// A graph as it can be kept and given back: nodes by number, whatever slots they have by then.
///
/// Whoever makes one of bytes from elsewhere need not check it: ``VectorIndex/adopt(_:at:)`` does.
public struct GraphImage: Sendable {
  /// The slot of each node when the image was taken.
  public var slots: [Int]
  /// The nodes' neighbours. Those of an index are as they are when they are read: nobody may write to it meanwhile.
  public var lists: GraphLists
  /// The recall of its walks, as measured on rows before they were linked.
  public var curve: RecallCurve

  public init(slots: [Int], lists: GraphLists, curve: RecallCurve) {
    self.slots = slots
    self.lists = lists
    self.curve = curve
  }

  /// Whether every number is one of a node, no list names a node twice or its own, and nothing is out of range.
  func isWhole(nodes: Int, widest: Int) -> Bool {
    guard nodes > 0, nodes <= Int(Int32.max), (1...widest).contains(lists.width) else { return false }
    // The node whose list named this one last.
    var namedBy = [Int](repeating: -1, count: nodes)
    return lists.allSatisfy(0..<nodes) { node, neighbors in
      neighbors.allSatisfy { neighbor in
        let neighbor = Int(neighbor)
        guard (0..<nodes).contains(neighbor), neighbor != node, namedBy[neighbor] != node else { return false }
        namedBy[neighbor] = node
        return true
      }
    }
  }
}
