import SimilarityCore

/// Adds many slots to a graph at once, with the same result for any number of threads.
///
/// Slots are added in rounds (Manohar et al. 2024, "ParlayANN"). In parallel, all slots of a round search the graph as it was
/// before the round; then the edges back are added, target by target, in a fixed order. A round is small compared with the
/// graph, so that its slots are rarely each other's neighbours. Each round also includes some of the earliest slots, which
/// had few candidates when they were added and now choose their neighbours anew (Vamana's second pass, spread over time).
struct GraphBuilder {
  /// The largest number of parts in which edges back are added, and the least number of edges in a part.
  private static let mostParts = 32
  private static let edgesPerPart = 512

  let records: CodeRecords
  let rows: RowBlocks
  let pruning: Pruning
  /// The pool size of the search for a slot's neighbours.
  let efConstruction: Int
  let scratch: WalkScratchPool
  let loop: ParallelLoop
  let kernels: Kernels

  /// - Parameter slots: their codes have been written, and their lists are empty.
  func add(_ slots: [Int], to graph: inout GrowingGraph) {
    var rest = slots[...]
    while !rest.isEmpty {
      let new = rest.prefix(max(1, min(2048, graph.members.count / 32)))
      rest = rest.dropFirst(new.count)
      if !graph.members.isEmpty { add(round: new + graph.earliest(new.count / 5), entries: graph.entries) }
      graph.insert(new, pruning)
    }
  }

  private func add(round: [Int], entries: EntryPoints) {
    // Each piece takes a lock, so that a piece is several slots.
    let perPiece = max(1, min(16, round.count / (4 * loop.threads)))
    let pieces = (round.count + perPiece - 1) / perPiece
    let lists = loop.map(pieces) { piece in
      scratch.with { scratch in
        round[piece * perPiece..<min((piece + 1) * perPiece, round.count)].map { slot in
          var candidates = nearest(to: slot, entries, scratch)
          // The present neighbours of a slot that is already in the graph stay candidates.
          let old = records.neighbors(of: slot)
          if !old.isEmpty {
            let known = Set(candidates)
            candidates += old.filter { !known.contains($0) }
          }
          return pruning.choose(for: slot, from: candidates).chosen
        }
      }
    }.flatMap(\.self)
    for (slot, list) in zip(round, lists) {
      list.withUnsafeBufferPointer { records.setNeighbors(of: slot, to: $0) }
    }
    let dropped = addEdgesBack(round, lists)
    keepNamed(round.map { UInt32(truncatingIfNeeded: $0) } + dropped)
  }

  /// The slots nearest to `slot` that a walk finds, best first, without itself. Under the dot product these are the nearest by
  /// distance, followed by those with the largest products.
  func nearest(to slot: Int, _ entries: EntryPoints, _ scratch: WalkScratch) -> [UInt32] {
    let found = nearest(
      to: slot, as: records.metric == .dot ? .euclidean : records.metric, entries, scratch, ef: efConstruction)
    guard records.metric == .dot else { return found }
    let known = Set(found)
    // Only a third of the list is chosen from these, so that half the pool is enough.
    return found + nearest(to: slot, as: .dot, entries, scratch, ef: efConstruction / 2).filter { !known.contains($0) }
  }

  private func nearest(
    to slot: Int, as metric: CodeMetric, _ entries: EntryPoints, _ scratch: WalkScratch, ef: Int
  ) -> [UInt32] {
    let query = CodeQuery(rows.row(slot), norm: rows.norm(slot), for: records, metric: metric, kernels)
    let pool = GraphWalk(records: records, kernels: kernels).run(
      query, entries: entries.near(query, kernels), ef: ef, room: ef, count: records.slots,
      scratch)
    scratch.clear(pool.seen)
    return (0..<pool.pool).map { scratch.slots[$0] & ~GraphWalk.expanded }.filter { $0 != slot }
  }

  /// - Returns: the slots that pruning has removed from lists.
  private func addEdgesBack(_ sources: [Int], _ lists: [[UInt32]]) -> [UInt32] {
    let count = lists.reduce(0) { $0 + $1.count }
    let parts = max(1, min(Self.mostParts, count / Self.edgesPerPart))
    // All edges of a target are in the same part, so that parts can be sorted and added in parallel.
    var edges = [[UInt64]](repeating: [], count: parts)
    for part in edges.indices { edges[part].reserveCapacity(2 * count / parts) }
    for (source, list) in zip(sources, lists) {
      for target in list { edges[Int(target) % parts].append(UInt64(target) << 32 | UInt64(source)) }
    }
    let all = edges
    return loop.map(parts) { addEdges(all[$0].sorted()) }.flatMap(\.self)
  }

  /// - Parameter edges: pairs of a target (upper half) and a source, sorted.
  private func addEdges(_ edges: [UInt64]) -> [UInt32] {
    var dropped: [UInt32] = []
    var start = 0
    while start < edges.count {
      let target = edges[start] >> 32
      let end = edges[start...].firstIndex { $0 >> 32 != target } ?? edges.count
      dropped += addEdges(to: Int(target), from: edges[start..<end].map { UInt32(truncatingIfNeeded: $0) })
      start = end
    }
    return dropped
  }

  /// Appends sources while the list has room; when it is full, chooses its neighbours anew.
  ///
  /// - Returns: the candidates that were not chosen.
  private func addEdges(to target: Int, from sources: [UInt32]) -> [UInt32] {
    let new = sources.filter { !records.names($0, at: target) }
    for (index, source) in new.enumerated() where !records.addNeighbor(source, to: target) {
      let choice = pruning.choose(for: target, from: records.neighbors(of: target) + new[index...])
      choice.chosen.withUnsafeBufferPointer { records.setNeighbors(of: target, to: $0) }
      return choice.left
    }
    return []
  }

  /// Gives each of `slots` that none of its neighbours names an edge from the nearest neighbour whose list has room: without
  /// such an edge, walks could hardly find it.
  private func keepNamed(_ slots: [UInt32]) {
    let unique = Array(Set(slots)).sorted()
    let perPiece = 256
    let lost = loop.map((unique.count + perPiece - 1) / perPiece) { piece in
      unique[piece * perPiece..<min((piece + 1) * perPiece, unique.count)].filter { !records.isNamed(Int($0)) }
    }
    for slot in lost.flatMap(\.self) {
      _ = records.neighbors(of: Int(slot)).first { records.addNeighbor(slot, to: Int($0)) }
    }
  }
}

extension CodeRecords {
  /// The list of `slot` as an array.
  func neighbors(of slot: Int) -> [UInt32] {
    [UInt32](unsafeUninitializedCapacity: mostNeighbors) { buffer, count in
      guard let out = buffer.baseAddress else { return }
      count = neighbors(of: slot, into: out)
    }
  }
}
