import SimilarityCore

/// Adds slots to a graph, many at once, with the same result for any number of threads.
///
/// Slots go in by rounds (Manohar et al. 2024, "ParlayANN"): all of a round search the graph as it was before, in parallel;
/// then the edges back are added, target by target, in a fixed order. Rounds are a small part of what is there already, so
/// that a round's slots rarely miss each other.
struct GraphBuilder {
  let records: CodeRecords
  let rows: RowBlocks
  let pruning: Pruning
  /// The pool of the search for a slot's neighbours.
  let efConstruction: Int
  let scratch: WalkScratchPool
  let loop: ParallelLoop
  let kernels: Kernels

  /// - Parameters:
  ///   - slots: whose codes are written and whose lists are empty.
  ///   - size: slots that are in the graph already.
  ///   - count: slots in use.
  ///   - entries: where searches start; gets the first slot when there is none.
  func add(_ slots: [Int], size: Int, count: Int, entries: inout [UInt32]) throws(ProductFailure) {
    var rest = slots[...]
    if entries.isEmpty, let first = rest.popFirst() { entries = [UInt32(first)] }
    var size = max(1, size)
    while !rest.isEmpty {
      let round = Array(rest.prefix(max(1, min(2048, size / 32))))
      rest = rest.dropFirst(round.count)
      try add(round: round, count: count, entries: entries)
      size += round.count
    }
  }

  private func add(round: [Int], count: Int, entries: [UInt32]) throws(ProductFailure) {
    let walk = GraphWalk(records: records, kernels: kernels)
    // A few slots a piece, since a piece costs a lock.
    let perPiece = max(1, min(16, round.count / (4 * loop.threads)))
    let pieces = (round.count + perPiece - 1) / perPiece
    let found = Results.of(pieces, loop) { piece in
      scratch.with { scratch in
        round[piece * perPiece..<min((piece + 1) * perPiece, round.count)].map { slot in
          let query = CodeQuery(rows.row(slot), norm: rows.norm(slot), for: records, kernels)
          let pool = walk.run(query, entries: entries, ef: efConstruction, count: count, scratch)
          let candidates = (0..<pool).map { scratch.slots[$0] & ~GraphWalk.expanded }.filter { $0 != slot }
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
    for (index, source) in sources.enumerated() where !records.addNeighbor(source, to: target) {
      var candidates = records.neighbors(of: target)
      candidates += sources[index...]
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
