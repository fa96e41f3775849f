import SimilarityCore

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

extension IndexWriter {
  /// The graph of the live slots; nil while there is none.
  func image() -> GraphImage? {
    guard graph != nil, let records, !live.isEmpty, used <= Int(Int32.max) else { return nil }
    let slots = live.all
    var nodes = [Int32](repeating: -1, count: used)
    for (node, slot) in slots.enumerated() { nodes[slot] = Int32(truncatingIfNeeded: node) }
    let lists = Self.lists(records, slots, nodes)
    return GraphImage(slots: slots, lists: lists, curve: board.current.rows)
  }

  /// - Parameter nodes: the number of each slot's node; -1 where there is none.
  private static func lists(_ records: CodeRecords, _ slots: [Int], _ nodes: [Int32]) -> GraphLists {
    let width = records.mostNeighbors
    return GraphLists(width: width) { range in
      var lists = [Int32](repeating: 0, count: range.count * (1 + width))
      for node in range where node < slots.count {
        let first = (node - range.lowerBound) * (1 + width)
        var count = 0
        for neighbor in records.neighbors(of: slots[node]) where Int(neighbor) < nodes.count {
          guard nodes[Int(neighbor)] >= 0 else { continue }
          count += 1
          lists[first + count] = nodes[Int(neighbor)]
        }
        lists[first] = Int32(truncatingIfNeeded: count)
      }
      return lists
    }
  }

  /// See ``VectorIndex/adopt(_:at:)``. When it returns false nothing has changed.
  mutating func adopt(_ image: GraphImage, at places: [Int]) -> Bool {
    encodeRest()
    guard graph == nil, metric.allowsGraph(dimension: dimension), let records,
      image.isWhole(nodes: places.count, widest: records.mostNeighbors)
    else { return false }
    var known = SlotSet()
    for place in places where place >= 0 {
      guard live.contains(place), !known.contains(place) else { return false }
      known.insert(place)
    }
    guard known.count * 10 >= live.count * 7, !known.isEmpty else { return false }
    let pruning = pruning(records)
    let nodesPerPiece = 1024
    // Lists are read a second time, which may fail. There is no graph yet, so that nobody looks at those which were written.
    let areRead = loop.map((places.count + nodesPerPiece - 1) / nodesPerPiece) { piece in
      let nodes = piece * nodesPerPiece..<min((piece + 1) * nodesPerPiece, places.count)
      return image.lists.allSatisfy(nodes) { node, neighbors in
        guard places[node] >= 0 else { return true }
        let list = Self.list(of: node, neighbors, image, places, pruning)
        list.withUnsafeBufferPointer { records.setNeighbors(of: places[node], to: $0) }
        return true
      }
    }
    guard areRead.allSatisfy(\.self) else { return false }
    var adopted = GrowingGraph()
    adopted.members = known
    adopted.chooseEntries(pruning)
    graph = adopted
    board.reset(rows: image.curve)
    var added = live
    added.subtract(known)
    for slot in added.all { records.setNeighbors(of: slot, to: UnsafeBufferPointer(start: nil, count: 0)) }
    addToGraph(added.all)
    reconnect(records)
    version += 1
    return true
  }

  /// The slots of a node's neighbours; one that is gone gives way to what is left of its own neighbours.
  private static func list(
    of node: Int, _ neighbors: ArraySlice<Int32>, _ image: GraphImage, _ places: [Int], _ pruning: Pruning
  ) -> [UInt32] {
    // Lists are read again after they were checked: a number that has become another one names nothing.
    func slot(_ number: Int32) -> UInt32? {
      places.indices.contains(Int(number)) ? UInt32(exactly: places[Int(number)]) : nil
    }
    let found = neighbors.compactMap(slot)
    guard found.count < neighbors.count else { return found }
    var seen: Set<UInt32> = [UInt32(truncatingIfNeeded: places[node])]
    var candidates: [UInt32] = []
    for neighbor in neighbors {
      if let slot = slot(neighbor) {
        if seen.insert(slot).inserted { candidates.append(slot) }
        continue
      }
      _ = image.lists.allSatisfy(Int(neighbor)..<Int(neighbor) + 1) { _, further in
        for next in further {
          if let slot = slot(next), seen.insert(slot).inserted { candidates.append(slot) }
        }
        return true
      }
    }
    return candidates.count <= pruning.degree ? candidates : pruning.choose(for: places[node], from: candidates).chosen
  }
}
