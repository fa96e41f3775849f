import SimilarityCore

extension IndexWriter {
  /// The graph of the live slots; nil while there is none.
  func image() -> GraphImage? {
    guard let graph, let records, !live.isEmpty, used <= Int(Int32.max) else { return nil }
    let slots = live.all
    var nodes = [Int32](repeating: -1, count: used)
    for (node, slot) in slots.enumerated() { nodes[slot] = Int32(truncatingIfNeeded: node) }
    let width = records.mostNeighbors
    var lists = [Int32](repeating: 0, count: slots.count * (1 + width))
    for (node, slot) in slots.enumerated() {
      var count = 0
      for neighbor in records.neighbors(of: slot) where Int(neighbor) < used && nodes[Int(neighbor)] >= 0 {
        count += 1
        lists[node * (1 + width) + count] = nodes[Int(neighbor)]
      }
      lists[node * (1 + width)] = Int32(truncatingIfNeeded: count)
    }
    var starts = graph.entries.compactMap { live.contains(Int($0)) ? nodes[Int($0)] : nil }
    if starts.isEmpty { starts = [0] }
    return GraphImage(
      slots: slots, width: width, lists: lists, entries: starts, ef: ef, sampledRecall: sampledRecall)
  }

  /// See ``VectorIndex/adopt(_:at:)``. When it returns false nothing has changed.
  mutating func adopt(_ image: GraphImage, at places: [Int]) throws(IndexError) -> Bool {
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
    do {
      try loop.forEach((places.count + nodesPerPiece - 1) / nodesPerPiece) { piece in
        for node in piece * nodesPerPiece..<min((piece + 1) * nodesPerPiece, places.count) where places[node] >= 0 {
          let list = Self.list(of: node, image, places, pruning)
          list.withUnsafeBufferPointer { records.setNeighbors(of: places[node], to: $0) }
        }
        return true
      }
    } catch {
      throw .outOfMemory
    }
    var adopted = GrowingGraph()
    adopted.members = known
    adopted.chooseEntries(records)
    graph = adopted
    (ef, sampledRecall, sampledCount) = (image.ef, image.sampledRecall, image.slots.count)
    var added = live
    added.subtract(known)
    try addToGraph(added.all)
    reconnect(records)
    version += 1
    return true
  }

  /// The slots of a node's neighbours; one that is gone gives way to what is left of its own neighbours.
  private static func list(of node: Int, _ image: GraphImage, _ places: [Int], _ pruning: Pruning) -> [UInt32] {
    let neighbors = image.neighbors(of: node)
    let found = neighbors.compactMap { UInt32(exactly: places[Int($0)]) }
    guard found.count < neighbors.count else { return found }
    var seen: Set<UInt32> = [UInt32(truncatingIfNeeded: places[node])]
    var candidates: [UInt32] = []
    for neighbor in neighbors {
      if let slot = UInt32(exactly: places[Int(neighbor)]) {
        if seen.insert(slot).inserted { candidates.append(slot) }
        continue
      }
      for next in image.neighbors(of: Int(neighbor)) {
        if let slot = UInt32(exactly: places[Int(next)]), seen.insert(slot).inserted { candidates.append(slot) }
      }
    }
    return candidates.count <= pruning.degree ? candidates : pruning.choose(for: places[node], from: candidates)
  }
}
