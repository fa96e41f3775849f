import SimilarityCore

/// One call of a search: every query on its way to its neighbours.
struct BatchSearch {
  /// Queries from which on the matrix unit pays.
  private static let fewestForProducts = 24
  /// Queries that tell how much is compared for one.
  static let mostSampled = 8

  let queries: Matrix
  let options: SearchOptions
  let plan: SearchPlan
  let allowed: SlotSet
  let records: CodeRecords
  let snapshot: IndexSnapshot
  let scratch: WalkScratchPool
  let tiePrecedes: @Sendable (Int, Int) -> Bool

  var kernels: Kernels { snapshot.kernels }
  var costs: SearchCosts { SearchCosts(dimension: snapshot.dimension) }

  /// What was found for one query.
  struct Found {
    /// Best first.
    var neighbors: [Candidate]
    /// Slots that a walk met; 0 for the exact search.
    var met = 0
  }

  /// - Returns: nil when a library fails.
  func run() -> [Found]? {
    if let ef = plan.ef {
      let perPiece = max(1, min(8, queries.rows / (4 * options.loop.threads)))
      let pieces = (queries.rows + perPiece - 1) / perPiece
      return Results.of(pieces, options.loop) { piece in
        // Taking and giving back a scratch costs as much as a part of a short walk.
        scratch.with { scratch in
          (piece * perPiece..<min((piece + 1) * perPiece, queries.rows)).map { walk($0, ef, scratch) }
        }
      }?.flatMap { $0 }
    }
    let exact = exact
    if queries.rows >= Self.fewestForProducts, options.k <= 1024, !scansAreCheaper(exact) {
      return products()?.map { Found(neighbors: $0) }
    }
    let isMany = queries.rows >= options.loop.threads * 4
    let inner = isMany ? ParallelLoop(threads: 1) : options.loop
    return Results.of(queries.rows, isMany ? options.loop : ParallelLoop(threads: 1)) { row in
      Found(neighbors: stream(row, exact, inner))
    }
  }

  /// Whether scans for one query after another cost less than a pass over all rows for all of them.
  private func scansAreCheaper(_ exact: ExactSearch) -> Bool {
    guard let lists = exact.lists else { return false }
    let scans = scans(exact, sampled: min(Self.mostSampled, queries.rows / Self.fewestForProducts))
    return costs.scan(scans) < scans.queries * costs.pass(over: allowed.count, cells: lists.cells)
  }

  /// What exact searches for some of the queries compare.
  func scans(sampled: Int) -> RecallCurve.Scans { scans(exact, sampled: sampled) }

  private func scans(_ exact: ExactSearch, sampled: Int) -> RecallCurve.Scans {
    exact.scans(for: (0..<sampled).map { row in with(row * queries.rows / sampled) { $1 } }, k: options.k)
  }

  var exact: ExactSearch { ExactSearch(allowed, in: snapshot, records: records) }

  func excluded(_ row: Int) -> Int? { row < options.excluded.count ? options.excluded[row] : nil }

  @inline(__always)
  func with<Result>(_ row: Int, _ body: (ScoredQuery, CodeQuery) -> Result) -> Result {
    queries.withRow(row) { values in
      let scored = ScoredQuery(values, metric: snapshot.metric, rows: snapshot.rows, kernels: kernels)
      return body(scored, CodeQuery(values, norm: scored.norm, for: records, kernels))
    }
  }

  func stream(_ row: Int, _ exact: ExactSearch, _ loop: ParallelLoop) -> [Candidate] {
    with(row) { scored, codes in
      var survivors = exact.survivors(of: codes, k: options.k, excluding: excluded(row), loop)
      let slots = survivors.finish()
      return slots.withUnsafeBufferPointer { scored.best(options.k, of: $0, tiePrecedes: tiePrecedes) }
    }
  }

  private func products() -> [[Candidate]]? {
    let passes = BatchScan.passes(of: queries.rows, threads: options.loop.threads)
    let scan = BatchScan(allowed, records: records, kernels: kernels)
    let found = Results.of(passes.count, options.loop) { index -> [[Candidate]]? in
      let pass = passes[index]
      let codes = pass.map { row in with(row) { $1 } }
      let excluded: [Int?] = options.excluded.isEmpty ? [] : pass.map { self.excluded($0) }
      guard let survivors = scan.survivors(of: codes, k: options.k, excluding: excluded) else { return nil }
      return zip(pass, survivors).map { row, slots in
        with(row) { scored, _ in
          slots.withUnsafeBufferPointer { scored.best(options.k, of: $0, tiePrecedes: tiePrecedes) }
        }
      }
    }
    return found?.flatMap { $0 }
  }
}
