import SimilarityCore

/// One call of a search: every query on its way to its neighbours.
struct BatchSearch {
  /// Queries from which on the matrix unit pays.
  private static let fewestForProducts = 24
  /// Candidates within the codes' error of the k-th that are no reason to walk on.
  private static let fewUnresolved = 16
  /// The pool up to which a search goes on that its codes leave unresolved.
  private static let widestPool = 4096

  let queries: Matrix
  let options: SearchOptions
  let plan: SearchPlan
  let allowed: SlotSet
  let records: CodeRecords
  let snapshot: IndexSnapshot
  let scratch: WalkScratchPool
  let tiePrecedes: @Sendable (Int, Int) -> Bool

  private var kernels: Kernels { snapshot.kernels }

  /// - Returns: nil when a library fails.
  func run() -> [[Candidate]]? {
    if let ef = plan.ef {
      let perPiece = max(1, min(8, queries.rows / (4 * options.loop.threads)))
      let pieces = (queries.rows + perPiece - 1) / perPiece
      return Results.of(pieces, options.loop) { piece in
        (piece * perPiece..<min((piece + 1) * perPiece, queries.rows)).map { walk($0, ef) }
      }?.flatMap { $0 }
    }
    if queries.rows >= Self.fewestForProducts, options.k <= 1024 { return products() }
    return (0..<queries.rows).map { stream($0) }
  }

  /// Whether walks meet slots that may not be found, as far as the snapshot knows.
  private var isRestricted: Bool { snapshot.graph?.size != allowed.count }

  private var exact: ExactSearch {
    ExactSearch(records: records, live: allowed.words, kernels: kernels)
  }

  private func excluded(_ row: Int) -> Int? { row < options.excluded.count ? options.excluded[row] : nil }

  private func with<Result>(_ row: Int, _ body: (ScoredQuery, CodeQuery) -> Result) -> Result {
    queries.withRow(row) { values in
      let scored = ScoredQuery(values, metric: snapshot.metric, rows: snapshot.rows, kernels: kernels)
      return body(scored, CodeQuery(values, norm: scored.norm, for: records, kernels))
    }
  }

  private func stream(_ row: Int) -> [Candidate] {
    with(row) { scored, codes in
      let slots = exact.survivors(of: codes, k: options.k, excluding: excluded(row), options.loop)
      return slots.withUnsafeBufferPointer { scored.best(options.k, of: $0, tiePrecedes: tiePrecedes) }
    }
  }

  private func products() -> [[Candidate]]? {
    let batches = ExactSearch.batches(of: queries.rows, threads: options.loop.threads)
    let exact = exact
    let found = Results.of(batches.count, options.loop) { index -> [[Candidate]]? in
      let batch = batches[index]
      let codes = batch.map { row in with(row) { $1 } }
      let excluded: [Int?] = options.excluded.isEmpty ? [] : batch.map { self.excluded($0) }
      guard let survivors = exact.survivors(of: codes[...], k: options.k, excluding: excluded[...]) else { return nil }
      return zip(batch, survivors).map { row, slots in
        with(row) { scored, _ in
          slots.withUnsafeBufferPointer { scored.best(options.k, of: $0, tiePrecedes: tiePrecedes) }
        }
      }
    }
    return found?.flatMap { $0 }
  }

  private func walk(_ row: Int, _ ef: Int) -> [Candidate] {
    let found = with(row) { scored, codes in
      scratch.with { scratch in
        let walk = GraphWalk(records: records, kernels: kernels)
        let entries = snapshot.graph?.entries.near(codes, kernels) ?? []
        let skipped = excluded(row).map { UInt32(truncatingIfNeeded: $0) }
        let include = { (slot: UInt32) in allowed.contains(Int(slot)) && slot != skipped }
        var isRestricted = isRestricted || skipped != nil
        var ef = ef
        while true {
          let extent = walk.run(
            codes, entries: entries, ef: ef, room: max(ef, options.k), count: records.slots, scratch)
          let candidates = walk.candidates(
            for: codes, k: options.k, extent, scratch, where: isRestricted ? include : nil)
          // Lists change while they are read: what came after this snapshot is not its own.
          if !isRestricted, !candidates.allSatisfy(include) {
            isRestricted = true
            continue
          }
          // Where codes cannot tell many apart, as among near-duplicates, the walk has to see all of them.
          guard candidates.count > 2 * max(ef, options.k) + Self.fewUnresolved, ef < Self.widestPool else {
            return scored.best(options.k, of: UnsafeBufferPointer(candidates), tiePrecedes: tiePrecedes)
          }
          ef = min(max(2 * ef, candidates.count), Self.widestPool)
        }
      }
    }
    let reachable = allowed.count - (excluded(row).map(allowed.contains) == true ? 1 : 0)
    // The promise is k results when k match.
    return found.count < min(options.k, reachable) ? stream(row) : found
  }
}
