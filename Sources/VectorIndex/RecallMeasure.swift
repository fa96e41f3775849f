import SimilarityCore

/// Measures the recall of walks: every query exactly, then with one pool after another.
struct RecallMeasure {
  /// Longer pools than the first that costs so many times an exact search are not tried.
  static let mostCost = 1.0
  private static let complete = 0.9995

  let snapshot: IndexSnapshot
  let loop: ParallelLoop

  /// - Returns: nil when there is nothing to search for or in.
  /// - Throws: ``ProductFailure`` when the matrix library fails.
  func curve(of queries: Matrix) throws(ProductFailure) -> RecallCurve? {
    var options = SearchOptions(k: 10)
    options.loop = loop
    let k = min(10, snapshot.count)
    guard k > 0, queries.rows > 0, let exact = snapshot.search(queries, options, .exact) else { return nil }
    let (truth, scans) = try exact.runExactly(sampled: min(BatchSearch.mostSampled, (queries.rows + 7) / 8))
    var curve = RecallCurve()
    let costs = SearchCosts(dimension: snapshot.dimension)
    curve.add(scans)
    let scan = scans.mean.map(costs.scan) ?? .infinity
    for (index, ef) in RecallCurve.pools.enumerated() {
      guard let found = try snapshot.search(queries, options, SearchPlan(ef: ef))?.run() else { return nil }
      var point = RecallCurve.Point(queries: Double(queries.rows))
      for (walk, exact) in zip(found, truth) {
        // Rows that are equally near are equally right.
        let least = exact.neighbors.last?.score ?? -.infinity
        let recall = Double(walk.neighbors.count { $0.score >= least }) / Double(k)
        point.recall += recall
        point.squares += recall * recall
        point.met += Double(walk.met)
      }
      curve.add(point, at: index)
      let isDear = point.met * costs.met(ef: Double(ef)) > Self.mostCost * Double(queries.rows) * scan
      if point.recall >= Self.complete * Double(queries.rows) || isDear { break }
    }
    return curve
  }
}
