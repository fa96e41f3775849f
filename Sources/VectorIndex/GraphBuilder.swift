import SimilarityCore

/// Adds slots to a graph, many at once, with the same result for any number of threads.
///
/// Slots go in by rounds (Manohar et al. 2024, "ParlayANN"): all of a round search the graph as it was before, in parallel;
/// then the edges back are added, target by target, in a fixed order. Rounds are a small part of what is there already, so
/// that a round's slots rarely miss each other. With each round go some of the earliest slots, which chose among few and
/// choose anew (Vamana's second pass, for those that need it, and while the graph grows).
struct GraphBuilder {
  let records: CodeRecords
  let rows: RowBlocks
  let pruning: Pruning
  /// The pool of the search for a slot's neighbours.
  let efConstruction: Int
  let scratch: WalkScratchPool
  let loop: ParallelLoop
  let kernels: Kernels

  /// - Parameter slots: whose codes are written and whose lists are empty.
  func add(_ slots: [Int], to graph: inout GrowingGraph) throws(ProductFailure) {
    var rest = slots[...]
    while !rest.isEmpty {
      let new = rest.prefix(max(1, min(2048, graph.members.count / 32)))
      rest = rest.dropFirst(new.count)
      if !graph.members.isEmpty { try add(round: new + graph.earliest(new.count / 4), entries: graph.entries) }
      graph.insert(new, pruning)
    }
  }

  private func add(round: [Int], entries: EntryPoints) throws(ProductFailure) {
    // A few slots a piece, since a piece costs a lock.
    let perPiece = max(1, min(16, round.count / (4 * loop.threads)))
    let pieces = (round.count + perPiece - 1) / perPiece
    let found = Results.of(pieces, loop) { piece in
      scratch.with { scratch in
        round[piece * perPiece..<min((piece + 1) * perPiece, round.count)].map { slot in
          var candidates = nearest(to: slot, entries, scratch)
          // Of one that is there already the ways that it has stay candidates.
          let known = Set(candidates)
          candidates += records.neighbors(of: slot).filter { !known.contains($0) }
          return pruning.choose(for: slot, from: candidates)
        }
      }
    }
    guard let lists = found?.flatMap(\.self) else { throw ProductFailure() }
    for (slot, list) in zip(round, lists) {
      list.withUnsafeBufferPointer { records.setNeighbors(of: slot, to: $0) }
    }
    try addEdgesBack(round, lists)
  }

  /// The slots nearest to that of `slot` which a walk finds, best first, without itself.
  func nearest(to slot: Int, _ entries: EntryPoints, _ scratch: WalkScratch) -> [UInt32] {
    let query = CodeQuery(rows.row(slot), norm: rows.norm(slot), for: records, kernels)
    let pool = GraphWalk(records: records, kernels: kernels).run(
      query, entries: entries.near(query, kernels), ef: efConstruction, room: efConstruction, count: records.slots,
      scratch)
    return (0..<pool.pool).map { scratch.slots[$0] & ~GraphWalk.expanded }.filter { $0 != slot }
  }

  private func addEdgesBack(_ sources: [Int], _ lists: [[UInt32]]) throws(ProductFailure) {
    var edges: [UInt64] = []
    edges.reserveCapacity(lists.count * pruning.degree)
    for (source, list) in zip(sources, lists) {
      for target in list { edges.append(UInt64(target) << 32 | UInt64(source)) }
    }
    edges.sort()
    var groups: [Range<Int>] = []
    var start = 0
    for index in edges.indices.dropFirst() where edges[index] >> 32 != edges[start] >> 32 {
      groups.append(start..<index)
      start = index
    }
    if start < edges.count { groups.append(start..<edges.count) }
    let perPiece = 32
    let edgesBack = edges
    let all = groups
    try loop.forEach((all.count + perPiece - 1) / perPiece) { piece in
      for group in all[piece * perPiece..<min((piece + 1) * perPiece, all.count)] {
        addEdges(
          to: Int(edgesBack[group.lowerBound] >> 32), from: edgesBack[group].map { UInt32(truncatingIfNeeded: $0) })
      }
      return true
    }
  }

  /// Appends where there is room; chooses anew where there is none.
  private func addEdges(to target: Int, from sources: [UInt32]) {
    let known = records.neighbors(of: target)
    let new = sources.filter { !known.contains($0) }
    for (index, source) in new.enumerated() where !records.addNeighbor(source, to: target) {
      let candidates = records.neighbors(of: target) + new[index...]
      let chosen = pruning.choose(for: target, from: candidates)
      return chosen.withUnsafeBufferPointer { records.setNeighbors(of: target, to: $0) }
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
