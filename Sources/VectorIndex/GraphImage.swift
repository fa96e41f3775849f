/// A graph as it can be kept and given back: nodes by number, whatever slots they have by then.
///
/// Whoever makes one of bytes from elsewhere need not check it: ``VectorIndex/adopt(_:at:)`` does.
public struct GraphImage: Sendable {
  /// The slot of each node when the image was taken.
  public var slots: [Int]
  /// Neighbours that a list has room for.
  public var width: Int
  /// [nodes, 1 + width]: how many neighbours a node has, their numbers, zeros.
  public var lists: [Int32]
  /// The nodes where searches start.
  public var entries: [Int32]
  /// The pool that reaches the recall target on a sample.
  public var ef: Int
  /// Recall@10 of the sample with that pool; nil before it was taken.
  public var sampledRecall: Double?

  public init(slots: [Int], width: Int, lists: [Int32], entries: [Int32], ef: Int, sampledRecall: Double?) {
    self.slots = slots
    self.width = width
    self.lists = lists
    self.entries = entries
    self.ef = ef
    self.sampledRecall = sampledRecall
  }

  /// The numbers of `node`'s neighbours; the image is whole.
  func neighbors(of node: Int) -> ArraySlice<Int32> {
    let first = node * (1 + width)
    return lists[first + 1..<first + 1 + Int(lists[first])]
  }

  /// Whether every number is one of a node, no list names a node twice or its own, and nothing is out of range.
  func isWhole(nodes: Int, widest: Int) -> Bool {
    guard nodes > 0, nodes <= Int(Int32.max), (1...widest).contains(width), (1...4096).contains(ef),
      sampledRecall.map({ (0...1).contains($0) }) ?? true, !entries.isEmpty, entries.count <= nodes
    else { return false }
    let (size, overflow) = nodes.multipliedReportingOverflow(by: 1 + width)
    guard !overflow, lists.count == size else { return false }
    // The node whose list named this one last; `nodes` for the entries.
    var namedBy = [Int](repeating: -1, count: nodes)
    for entry in entries {
      guard (0..<nodes).contains(Int(entry)), namedBy[Int(entry)] != nodes else { return false }
      namedBy[Int(entry)] = nodes
    }
    for node in 0..<nodes {
      guard (0...width).contains(Int(lists[node * (1 + width)])) else { return false }
      for neighbor in neighbors(of: node) {
        let neighbor = Int(neighbor)
        guard (0..<nodes).contains(neighbor), neighbor != node, namedBy[neighbor] != node else { return false }
        namedBy[neighbor] = node
      }
    }
    return true
  }
}
