import SimilarityCore

/// Walks over the graph for one query, which end in the exact search where that is better.
extension BatchSearch {
  /// So many candidates within the codes' error of the k-th are no reason to walk by rows.
  private static let fewUnresolved = 16
  /// Roughly how many comparisons of codes one comparison of rows costs.
  private static let rowCost = 4
  /// A walk that is expected to cost more than this share of the exact search ends in the exact search.
  private static let dearest = 0.35
  /// The expected number of matches in a full list from which on a walk over the matches alone is trusted. It is estimated by
  /// the share of entries around the query that match.
  private static let fewestMatching = 14.0
  /// Such a walk is not trusted when it has met more than so many times the usual number of nearer slots that do not match.
  private static let mostNearer = 4.0
  /// Roughly how many slots a walk meets for each place of its pool.
  private static let metPerPlace = 30.0
  /// The share of the wanted matches with which a walk under a filter may end.
  private static let enough = 0.7

  /// Whether walks meet slots that must not be found, as far as the snapshot knows.
  private var isRestricted: Bool { snapshot.graph?.size != allowed.count }

  /// Whether a filter excludes a part of the live slots.
  private var isFiltered: Bool { options.allowed != nil && allowed.count < snapshot.live.count }

  func walk(_ row: Int, _ ef: Int, _ scratch: WalkScratch) -> Found {
    let found = with(row) { scored, codes in walk(scored, codes, excluding: excluded(row), ef, scratch) }
    // A search returns k results whenever k slots match, and a walk must not cost more than the exact search: both end there.
    return found ?? Found(neighbors: stream(row, ExactSearch(allowed, in: snapshot, records: records), options.loop))
  }

  /// - Returns: nil when the search should be exact instead.
  private func walk(
    _ scored: ScoredQuery, _ codes: CodeQuery, excluding excluded: Int?, _ ef: Int, _ scratch: WalkScratch
  ) -> Found? {
    let walk = GraphWalk(records: records, kernels: kernels)
    let skipped = excluded.map { UInt32(truncatingIfNeeded: $0) }
    // The closure captures these values alone rather than the whole search.
    let include = { [allowed] (slot: UInt32) in allowed.contains(Int(slot)) && slot != skipped }
    let reachable = allowed.count - (excluded.map(allowed.contains) == true ? 1 : 0)
    let k = min(options.k, reachable)
    // The only match is the slot to be left out.
    guard k > 0 else { return Found(neighbors: []) }
    var isRestricted = isRestricted || skipped != nil
    // The number of slots in the pool that should match.
    let wanted = Double(ef) * Double(allowed.count) / Double(max(1, max(allowed.count, snapshot.graph?.size ?? 0)))
    var met = 0
    if isFiltered, let graph = snapshot.graph {
      let matching = graph.entries.matching(codes, allowed, kernels)
      guard !matching.isElsewhere else { return nil }
      if matching.share * Double(records.mostNeighbors) >= Self.fewestMatching {
        return walkOverMatches(walk, scored, codes, k, wanted, matching, include, scratch)
      }
      // Matches are rare around the query, or lie elsewhere, a case for which pool sizes were not measured.
      let expected = wanted / max(matching.share, 1e-9) * Self.metPerPlace
      guard expected * costs.met(ef: wanted) < Self.dearest * plan.scan else { return nil }
    }
    let entries = snapshot.graph?.entries.near(codes, kernels) ?? []
    // Matches near the query fit into a short pool.
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
      // Lists change while they are read, and may name slots that were added after this snapshot.
      if !isRestricted, !candidates.allSatisfy(include) {
        isRestricted = true
        continue
      }
      // Where codes cannot distinguish many slots, as among near-duplicates, the walk is repeated with keys from the rows.
      if candidates.count > 2 * max(ef, options.k) + Self.fewUnresolved {
        return walkByRows(scored, codes, entries, k, max(ef, options.k), include, scratch, met: met)
      }
      let best = scored.best(options.k, of: UnsafeBufferPointer(candidates), tiePrecedes: tiePrecedes)
      return best.count < k ? nil : Found(neighbors: best, met: met)
    }
  }

  /// - Returns: nil when fewer than k slots were found that match.
  private func walkByRows(
    _ scored: ScoredQuery, _ codes: CodeQuery, _ entries: [UInt32], _ k: Int, _ ef: Int, _ include: (UInt32) -> Bool,
    _ scratch: WalkScratch, met: Int
  ) -> Found? {
    // As an f32, the difference of a cosine from 1 is more precise than the cosine.
    let offset = snapshot.metric == .cosine ? 1.0 : 0
    var walk = GraphWalk(records: records, kernels: kernels)
    walk.keys = { slots, count, keys in
      for index in 0..<count { keys[index] = Float(scored.score(Int(slots[index])) - offset) }
    }
    let extent = walk.run(codes, entries: entries, ef: ef, room: 2 * ef, count: records.slots, scratch)
    scratch.clear(extent.seen)
    // Taken from all slots that were met, since of equal rows the pool holds an arbitrary part: so ties are in the right order.
    let found = walk.best(k, extent, scratch, where: include)
    let best = scored.best(k, of: UnsafeBufferPointer(found), tiePrecedes: tiePrecedes)
    return best.count < k ? nil : Found(neighbors: best, met: met + extent.seen * Self.rowCost)
  }

  /// A walk over the matches alone. Where each match has enough matching neighbours, the matches form a graph of their own: under
  /// a filter that most slots pass, and under one whose matches lie together.
  ///
  /// - Returns: nil when the matches are too loosely connected.
  private func walkOverMatches(
    _ walk: GraphWalk, _ scored: ScoredQuery, _ codes: CodeQuery, _ k: Int, _ wanted: Double,
    _ matching: EntryPoints.Matching, _ include: @escaping (UInt32) -> Bool, _ scratch: WalkScratch
  ) -> Found? {
    // Lists without the slots that do not match are shorter; a longer pool makes up for it.
    let ef = max(1, Int((wanted * (2.2 - 1.2 * matching.share)).rounded(.up)))
    let extent = walk.run(
      codes, entries: matching.entries, ef: ef, room: max(ef, k), count: records.slots, only: allowed, scratch)
    scratch.clear(extent.seen)
    guard extent.pool >= max(ef, k) else { return nil }
    // Pool sizes were measured for queries near to what is searched. A query whose surroundings do not match is far from the
    // matches; then the lists hold more nearer slots that do not match than the share of matches explains.
    let least = scratch.keys[k - 1]
    let nearer = (0..<extent.seen).count { scratch.seenKeys[$0] > least && !include(scratch.seen[$0]) }
    let usual = Double(k) * (1 - matching.share) / matching.share
    guard Double(nearer) <= Self.mostNearer * usual + Double(2 * Self.fewUnresolved) else { return nil }
    let candidates = walk.candidates(for: codes, k: k, extent, scratch, where: include)
    let best = scored.best(k, of: UnsafeBufferPointer(candidates), tiePrecedes: tiePrecedes)
    return best.count < k ? nil : Found(neighbors: best, met: extent.seen)
  }
}
