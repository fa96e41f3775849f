import SimilarityCore

/// Adds slots to a graph, many at once, with the same result for any number of threads.
///
/// Slots go in by rounds (Manohar et al. 2024, "ParlayANN"): all of a round search the graph as it was before, in parallel;
/// then the edges back are added, target by target, in a fixed order. Rounds are a small part of what is there already, so
/// that a round's slots rarely miss each other. With each round go some of the earliest slots, which chose among few and
/// choose anew (Vamana's second pass, for those that need it, and while the graph grows).
struct GraphBuilder {
  /// Parts that edges back are added in, and how many edges one has at least.
  private static let mostParts = 32
  private static let edgesPerPart = 512

  let records: CodeRecords
  let rows: RowBlocks
  let pruning: Pruning
  /// The pool of the search for a slot's neighbours.
  let efConstruction: Int
  let scratch: WalkScratchPool
  let loop: ParallelLoop
  let kernels: Kernels

  /// - Parameter slots: whose codes are written and whose lists are empty.
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
    // A few slots a piece, since a piece costs a lock.
    let perPiece = max(1, min(16, round.count / (4 * loop.threads)))
    let pieces = (round.count + perPiece - 1) / perPiece
    let lists = loop.map(pieces) { piece in
      scratch.with { scratch in
        round[piece * perPiece..<min((piece + 1) * perPiece, round.count)].map { slot in
          var candidates = nearest(to: slot, entries, scratch)
          // Of one that is there already the ways that it has stay candidates.
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

  /// The slots nearest to that of `slot` which a walk finds, best first, without itself; under the dot product then those with
  /// the largest products too.
  func nearest(to slot: Int, _ entries: EntryPoints, _ scratch: WalkScratch) -> [UInt32] {
    let found = nearest(
      to: slot, as: records.metric == .dot ? .euclidean : records.metric, entries, scratch, ef: efConstruction)
    guard records.metric == .dot else { return found }
    let known = Set(found)
    // A third of the list is chosen from these: half the pool is enough.
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

  /// - Returns: the slots that pruning has taken out of lists.
  private func addEdgesBack(_ sources: [Int], _ lists: [[UInt32]]) -> [UInt32] {
    let count = lists.reduce(0) { $0 + $1.count }
    let parts = max(1, min(Self.mostParts, count / Self.edgesPerPart))
    // A target's edges are in one part, so that parts may be sorted and added side by side.
    var edges = [[UInt64]](repeating: [], count: parts)
    for part in edges.indices { edges[part].reserveCapacity(2 * count / parts) }
    for (source, list) in zip(sources, lists) {
      for target in list { edges[Int(target) % parts].append(UInt64(target) << 32 | UInt64(source)) }
    }
    let all = edges
    return loop.map(parts) { addEdges(all[$0].sorted()) }.flatMap(\.self)
  }

  /// - Parameter edges: a target and a source each, by targets.
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

  /// Appends where there is room; chooses anew where there is none.
  ///
  /// - Returns: the slots that the list does not name, or no longer.
  private func addEdges(to target: Int, from sources: [UInt32]) -> [UInt32] {
    let new = sources.filter { !records.names($0, at: target) }
    for (index, source) in new.enumerated() where !records.addNeighbor(source, to: target) {
      let choice = pruning.choose(for: target, from: records.neighbors(of: target) + new[index...])
      choice.chosen.withUnsafeBufferPointer { records.setNeighbors(of: target, to: $0) }
      return choice.left
    }
    return []
  }

  /// Gives each of `slots` that none of its neighbours names an edge from the nearest that has room: no walk would find it.
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
