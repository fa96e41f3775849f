import SimilarityCore

/// A graph as it can be saved and restored. Its nodes are numbered, so that they may have other slots when it is restored.
///
/// An image that was read from a file need not be checked by its reader: ``VectorIndex/adopt(_:at:)`` checks it.
public struct GraphImage: Sendable {
  /// The slot of each node when the image was taken.
  public var slots: [Int]
  /// The nodes' neighbours. An image taken of an index reads its lists on demand: the index must not be written to meanwhile.
  public var lists: GraphLists
  /// The recall of walks over the graph, measured on rows before they were linked.
  public var curve: RecallCurve

  public init(slots: [Int], lists: GraphLists, curve: RecallCurve) {
    self.slots = slots
    self.lists = lists
    self.curve = curve
  }

  /// Whether every number is that of a node, no list names a node twice or its own node, and all counts are in range.
  func isWhole(nodes: Int, widest: Int) -> Bool {
    guard nodes > 0, nodes <= Int(Int32.max), (1...widest).contains(lists.width) else { return false }
    // For each node, the last node whose list named it.
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

/// The neighbours of a graph's nodes, read piece by piece, so that those of a large graph need not be in memory twice.
public struct GraphLists: Sendable {
  /// The number of neighbours that a list has room for.
  public let width: Int
  private let read: @Sendable (Range<Int>) -> [Int32]

  /// The number of values of one node.
  private var stride: Int { width + 1 }

  /// - Parameter read: returns [nodes of the range, 1 + width]: for each node the number of its neighbours, the neighbours, and
  ///   zeros. It may return fewer values when it fails.
  public init(width: Int, read: @escaping @Sendable (Range<Int>) -> [Int32]) {
    self.width = width
    self.read = read
  }

  public subscript(nodes: Range<Int>) -> [Int32] { read(nodes) }

  /// Calls `body` with each node in turn until it returns false or a list is invalid.
  ///
  /// - Parameter body: takes a node and its neighbours.
  /// - Returns: whether every list was valid and `body` returned true for each.
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
  /// An image of the graph of the live slots; nil when there is none.
  func image() -> GraphImage? {
    guard graph != nil, let records, !live.isEmpty, used <= Int(Int32.max) else { return nil }
    let slots = live.all
    var nodes = [Int32](repeating: -1, count: used)
    for (node, slot) in slots.enumerated() { nodes[slot] = Int32(truncatingIfNeeded: node) }
    let lists = Self.lists(records, slots, nodes)
    return GraphImage(slots: slots, lists: lists, curve: board.current.rows)
  }

  /// - Parameter nodes: the number of each slot's node; -1 for a slot without one.
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

  /// ``VectorIndex/adopt(_:at:)``. When it returns false, nothing has changed that a search can see.
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
    // The lists are read a second time, which may fail. What was written until then does no harm: there is no graph, so that
    // searches do not read lists, and building one empties them first.
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

  /// The slots of a node's neighbours; a neighbour that is gone is replaced by those of its own neighbours that are left.
  private static func list(
    of node: Int, _ neighbors: ArraySlice<Int32>, _ image: GraphImage, _ places: [Int], _ pruning: Pruning
  ) -> [UInt32] {
    // The file may have changed since its lists were checked: a number out of range is ignored.
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
