import SimilarityCore

/// The search for one batch of queries.
struct BatchSearch {
  /// The number of queries from which on products of matrices may be faster than scans.
  private static let fewestForProducts = 24
  /// The largest number of queries whose scans are measured.
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

  /// The result for one query.
  struct Found {
    /// The neighbours, best first.
    var neighbors: [Candidate]
    /// The number of slots that the walk met; 0 for the exact search.
    var met = 0
  }

  /// Searches as planned.
  ///
  /// - Throws: ``ProductFailure`` when the matrix library fails.
  func run() throws(ProductFailure) -> [Found] {
    guard let ef = plan.ef else { return try runExactly().found }
    let perPiece = max(1, min(8, queries.rows / (4 * options.loop.threads)))
    let pieces = (queries.rows + perPiece - 1) / perPiece
    return options.loop.map(pieces) { piece in
      // Several queries share a scratch, since taking and returning one costs as much as a part of a short walk.
      scratch.with { scratch in
        (piece * perPiece..<min((piece + 1) * perPiece, queries.rows)).map { walk($0, ef, scratch) }
      }
    }.flatMap(\.self)
  }

  /// Searches exactly, by scans for one query after another or by products for many at once, whichever costs less.
  ///
  /// - Parameter sampled: the least number of queries, spread evenly, whose scans are measured.
  /// - Returns: what was found, and how much the measured scans compared.
  /// - Throws: ``ProductFailure`` when the matrix library fails.
  func runExactly(sampled: Int = 0) throws(ProductFailure) -> (found: [Found], scans: ScanEffort) {
    let exact = ExactSearch(allowed, in: snapshot, records: records)
    let hasProducts = queries.rows >= Self.fewestForProducts && options.k <= 1024
    let wanted =
      hasProducts && exact.lists != nil ? min(Self.mostSampled, queries.rows / Self.fewestForProducts) : 0
    let sample = sample(max(sampled, wanted), exact)
    let scans = Self.effort(sample)
    let scansAreCheaper =
      exact.lists.map { costs.scan(scans) < scans.queries * costs.pass(over: allowed.count, cells: $0.cells) } ?? false
    if hasProducts, !scansAreCheaper { return (try products().map { Found(neighbors: $0) }, scans) }
    let isMany = queries.rows >= options.loop.threads * 4
    let inner = isMany ? ParallelLoop(threads: 1) : options.loop
    let outer = isMany ? options.loop : ParallelLoop(threads: 1)
    let found = outer.map(queries.rows) { row in
      Found(neighbors: stream(row, exact, inner, scanned: sample[row]))
    }
    return (found, scans)
  }

  /// Measures how much scans for `count` of the queries, spread evenly, compare.
  func scans(sampled count: Int) -> ScanEffort {
    Self.effort(sample(count, ExactSearch(allowed, in: snapshot, records: records)))
  }

  private static func effort(_ sample: [Int: Survivors]) -> ScanEffort {
    sample.values.reduce(into: ScanEffort(queries: Double(sample.count))) { $0 += $1.effort }
  }

  /// Scans for `count` of the queries, spread evenly; the results are by the row of the query.
  private func sample(_ count: Int, _ exact: ExactSearch) -> [Int: Survivors] {
    let rows = (0..<count).map { $0 * queries.rows / count }
    let survivors = options.loop.map(count) { index in
      with(rows[index]) { _, codes in
        exact.survivors(of: codes, k: options.k, excluding: excluded(rows[index]), ParallelLoop(threads: 1))
      }
    }
    return Dictionary(uniqueKeysWithValues: zip(rows, survivors))
  }

  func excluded(_ row: Int) -> Int? { row < options.excluded.count ? options.excluded[row] : nil }

  @inline(__always)
  func with<Result>(_ row: Int, _ body: (ScoredQuery, CodeQuery) -> Result) -> Result {
    queries.withRow(row) { values in
      let scored = ScoredQuery(values, metric: snapshot.metric, rows: snapshot.rows, kernels: kernels)
      return body(scored, CodeQuery(values, norm: scored.norm, for: records, kernels))
    }
  }

  /// Searches exactly for one query.
  ///
  /// - Parameter scanned: the result of a scan for the query, where there was one already.
  func stream(
    _ row: Int, _ exact: ExactSearch, _ loop: ParallelLoop, scanned: Survivors? = nil
  ) -> [Candidate] {
    with(row) { scored, codes in
      var survivors = scanned ?? exact.survivors(of: codes, k: options.k, excluding: excluded(row), loop)
      let slots = survivors.finish()
      return slots.withUnsafeBufferPointer { scored.best(options.k, of: $0, tiePrecedes: tiePrecedes) }
    }
  }

  private func products() throws(ProductFailure) -> [[Candidate]] {
    let passes = BatchScan.passes(of: queries.rows, threads: options.loop.threads)
    let scan = BatchScan(allowed, records: records, kernels: kernels)
    let found = try options.loop.map(passes.count) { index throws(ProductFailure) -> [[Candidate]] in
      let pass = passes[index]
      let codes = pass.map { row in with(row) { $1 } }
      let excluded: [Int?] = options.excluded.isEmpty ? [] : pass.map { self.excluded($0) }
      let survivors = try scan.survivors(of: codes, k: options.k, excluding: excluded)
      return zip(pass, survivors).map { row, slots in
        with(row) { scored, _ in
          slots.withUnsafeBufferPointer { scored.best(options.k, of: $0, tiePrecedes: tiePrecedes) }
        }
      }
    }
    return found.flatMap(\.self)
  }
}
