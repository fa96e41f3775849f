import SimilarityCore

/// Walks over the graph for one query, and when they give way to the exact search.
extension BatchSearch {
  /// Candidates within the codes' error of the k-th that are no reason to walk on.
  private static let fewUnresolved = 16
  /// What comparing a row costs, in comparisons of codes, about.
  private static let rowCost = 4
  /// A walk that has cost so many times the exact search ends in one.
  private static let dearest = 0.35
  /// Matches in a full list, as far as the filter's share around the query tells, with which a walk over matches alone is
  /// trusted.
  private static let fewestMatching = 14.0
  /// Nearer slots that do not match, in times of what is usual, with which such a walk is not trusted.
  private static let mostNearer = 4.0
  /// Slots that a walk meets for each place of its pool, about.
  private static let metPerPlace = 30.0
  /// The share of the matches looked for with which a walk under a filter is content.
  private static let enough = 0.7

  /// Whether walks meet slots that may not be found, as far as the snapshot knows.
  private var isRestricted: Bool { snapshot.graph?.size != allowed.count }

  /// Whether a filter leaves out a part of the graph that is worth to be walked around.
  private var isFiltered: Bool { options.allowed != nil && allowed.count < snapshot.live.count }

  func walk(_ row: Int, _ ef: Int, _ scratch: WalkScratch) -> Found {
    let found = with(row) { scored, codes in walk(scored, codes, excluding: excluded(row), ef, scratch) }
    // The promise is k results when k match; and a walk that costs as much as the exact search ends in it.
    return found ?? Found(neighbors: stream(row, ExactSearch(allowed, in: snapshot, records: records), options.loop))
  }

  /// - Returns: nil when the exact search is the better way.
  private func walk(
    _ scored: ScoredQuery, _ codes: CodeQuery, excluding excluded: Int?, _ ef: Int, _ scratch: WalkScratch
  ) -> Found? {
    let walk = GraphWalk(records: records, kernels: kernels)
    let skipped = excluded.map { UInt32(truncatingIfNeeded: $0) }
    // It holds on to these alone, not to all that a search is.
    let include = { [allowed] (slot: UInt32) in allowed.contains(Int(slot)) && slot != skipped }
    let reachable = allowed.count - (excluded.map(allowed.contains) == true ? 1 : 0)
    let k = min(options.k, reachable)
    // The one that matches is the one to be left out.
    guard k > 0 else { return Found(neighbors: []) }
    var isRestricted = isRestricted || skipped != nil
    // Of the pool, so many must match.
    let wanted = Double(ef) * Double(allowed.count) / Double(max(1, max(allowed.count, snapshot.graph?.size ?? 0)))
    var met = 0
    if isFiltered, let graph = snapshot.graph {
      let matching = graph.entries.matching(codes, allowed, kernels)
      guard !matching.isElsewhere else { return nil }
      if matching.share * Double(records.mostNeighbors) >= Self.fewestMatching {
        return walkOverMatches(walk, scored, codes, k, wanted, matching, include, scratch)
      }
      // What matches is rare around the query, or lies elsewhere, where pools were not measured.
      let expected = wanted / max(matching.share, 1e-9) * Self.metPerPlace
      guard expected * costs.met(ef: wanted) < Self.dearest * plan.scan else { return nil }
    }
    let entries = snapshot.graph?.entries.near(codes, kernels) ?? []
    // Where matches lie near the query, a short pool holds them.
    var ef = min(ef, max(1, Int(2 * wanted)))
    /// Whether a walk with this pool is expected to cost less than the exact search.
    func pays(_ longer: Int, than shorter: Int, _ extent: GraphWalk.Extent) -> Bool {
      let expected = Double(met) + Double(extent.seen) * Double(longer) / Double(shorter)
      return expected * costs.met(ef: Double(longer)) < Self.dearest * plan.scan
    }
    while true {
      var extent = walk.run(codes, entries: entries, ef: ef, room: max(ef, options.k), count: records.slots, scratch)
      while isRestricted {
        let matching = (0..<min(ef, extent.pool)).count { include(scratch.slots[$0] & ~GraphWalk.expanded) }
        guard Double(matching) < Self.enough * wanted, extent.pool >= ef else { break }
        let longer = Int(Double(ef) * min(4, max(1.5, wanted / Double(max(1, matching))))) + 1
        guard pays(longer, than: ef, extent) else {
          scratch.clear(extent.seen)
          return nil
        }
        extent = walk.extend(extent, codes, ef: longer, room: max(longer, options.k), scratch)
        ef = longer
      }
      scratch.clear(extent.seen)
      met += extent.seen
      let candidates = walk.candidates(
        for: codes, k: options.k, extent, scratch, where: isRestricted ? include : nil)
      // Lists change while they are read: what came after this snapshot is not its own.
      if !isRestricted, !candidates.allSatisfy(include) {
        isRestricted = true
        continue
      }
      // Where codes cannot tell many apart, as among near-duplicates, the walk goes by the rows themselves.
      if candidates.count > 2 * max(ef, options.k) + Self.fewUnresolved {
        return walkByRows(scored, codes, entries, k, max(ef, options.k), include, scratch, met: met)
      }
      let best = scored.best(options.k, of: UnsafeBufferPointer(candidates), tiePrecedes: tiePrecedes)
      return best.count < k ? nil : Found(neighbors: best, met: met)
    }
  }

  /// - Returns: nil when fewer than k were found that may be.
  private func walkByRows(
    _ scored: ScoredQuery, _ codes: CodeQuery, _ entries: [UInt32], _ k: Int, _ ef: Int, _ include: (UInt32) -> Bool,
    _ scratch: WalkScratch, met: Int
  ) -> Found? {
    // In f32 a cosine says less than how far it is from 1.
    let offset = snapshot.metric == .cosine ? 1.0 : 0
    var walk = GraphWalk(records: records, kernels: kernels)
    walk.keys = { slots, count, keys in
      for index in 0..<count { keys[index] = Float(scored.score(Int(slots[index])) - offset) }
    }
    let extent = walk.run(codes, entries: entries, ef: ef, room: 2 * ef, count: records.slots, scratch)
    scratch.clear(extent.seen)
    // Not from the pool, which holds any of those that are equally near: ties are decided among all that were met.
    let found = walk.best(k, extent, scratch, where: include)
    let best = scored.best(k, of: UnsafeBufferPointer(found), tiePrecedes: tiePrecedes)
    return best.count < k ? nil : Found(neighbors: best, met: met + extent.seen * Self.rowCost)
  }

  /// A walk over the matches alone. Where each has enough matching neighbours, as under a filter that most pass and under one
  /// whose matches lie together, they are a graph of their own, and nothing else is in the way.
  ///
  /// - Returns: nil where the matches hang together too loosely.
  private func walkOverMatches(
    _ walk: GraphWalk, _ scored: ScoredQuery, _ codes: CodeQuery, _ k: Int, _ wanted: Double,
    _ matching: EntryPoints.Matching, _ include: @escaping (UInt32) -> Bool, _ scratch: WalkScratch
  ) -> Found? {
    // Lists are shorter by what does not match; a longer pool makes up for it.
    let ef = max(1, Int((wanted * (2.2 - 1.2 * matching.share)).rounded(.up)))
    let extent = walk.run(
      codes, entries: matching.entries, ef: ef, room: max(ef, k), count: records.slots, only: allowed, scratch)
    scratch.clear(extent.seen)
    guard extent.pool >= max(ef, k) else { return nil }
    // Where the query's surroundings do not match, it is far from whatever does, and pools were measured for queries that are
    // not: then there are nearer ones in the lists that do not match, more than the filter's share explains.
    let least = scratch.keys[k - 1]
    let nearer = (0..<extent.seen).count { scratch.seenKeys[$0] > least && !include(scratch.seen[$0]) }
    let usual = Double(k) * (1 - matching.share) / matching.share
    guard Double(nearer) <= Self.mostNearer * usual + Double(2 * Self.fewUnresolved) else { return nil }
    let candidates = walk.candidates(for: codes, k: k, extent, scratch, where: include)
    let best = scored.best(k, of: UnsafeBufferPointer(candidates), tiePrecedes: tiePrecedes)
    return best.count < k ? nil : Found(neighbors: best, met: extent.seen)
  }
}
