/// The neighbours of a graph's nodes, piece by piece: of a large graph they need not be in memory twice.
public struct GraphLists: Sendable {
  /// Neighbours that a list has room for.
  public let width: Int
  private let read: @Sendable (Range<Int>) -> [Int32]

  /// Values of one node.
  private var stride: Int { width + 1 }

  /// - Parameter read: [nodes of the range, 1 + width]: how many neighbours a node has, their numbers, zeros.
  public init(width: Int, read: @escaping @Sendable (Range<Int>) -> [Int32]) {
    self.width = width
    self.read = read
  }

  public subscript(nodes: Range<Int>) -> [Int32] { read(nodes) }

  /// Calls `body` for each node in turn, or ends at the first that it is not content with.
  ///
  /// - Parameter body: is given the node's neighbours.
  /// - Returns: whether every list was whole and `body` was content with each.
  func allSatisfy(_ nodes: Range<Int>, _ body: (Int, ArraySlice<Int32>) -> Bool) -> Bool {
    let perPiece = 1024
    for first in Swift.stride(from: nodes.lowerBound, to: nodes.upperBound, by: perPiece) {
      let piece = first..<min(first + perPiece, nodes.upperBound)
      let values = read(piece)
      guard values.count == piece.count * stride else { return false }
      for node in piece {
        let start = (node - first) * stride
        guard (0...width).contains(Int(values[start])),
          body(node, values[start + 1..<start + 1 + Int(values[start])])
        else { return false }
      }
    }
    return true
  }
}
