import SimilarityCore
import TestSupport
import Testing
import VectorIndex

@Suite("Recall targets and their calibration")
struct CalibrationTests {
  private func options() -> IndexOptions {
    var options = IndexOptions()
    options.graphThreshold = 500
    return options
  }

  /// Rows in tight clusters: the error of codes whose step fits the whole space would exceed the distances within one.
  private func clustered(_ count: Int, from first: Int = 0, _ random: inout Seeded) -> [Float] {
    var fixed = Seeded(UInt64(90 + first))
    let centres = fixed.floats(30 * 32)
    var rows: [Float] = []
    for row in 0..<count {
      let noise = random.floats(32)
      for column in 0..<32 { rows.append(centres[row % 30 * 32 + column] + 0.05 * noise[column]) }
    }
    return rows
  }

  /// The recall@10 by scores: of rows that are equally near, each counts as right.
  private func recall(_ index: VectorIndex, _ queries: Matrix, target: Double?, mode: SearchOptions.Mode = .automatic)
    throws
    -> (Double, SearchResult)
  {
    var exact = SearchOptions(k: 10)
    exact.mode = .exact
    var asked = SearchOptions(k: 10)
    (asked.mode, asked.recallTarget) = (mode, target)
    let truth = try index.snapshot.nearest(to: queries, exact, tiePrecedes: <).neighbors
    let found = try index.snapshot.nearest(to: queries, asked, tiePrecedes: <)
    let hits = zip(truth, found.neighbors).reduce(0) { sum, pair in
      sum + pair.1.count { $0.score >= pair.0[pair.0.count - 1].score }
    }
    return (Double(hits) / Double(10 * queries.rows), found)
  }

  @Test(arguments: [1, 100, 4000], Metric.allCases)
  func defaultsKeepTheirPromise(_ batch: Int, _ metric: Metric) throws {
    var random = Seeded(7)
    let index = VectorIndex(dimension: 32, metric: metric, options: options())
    var slots: [Int] = []
    for _ in 0..<(4000 / batch) { slots += try index.apply(removing: [], adding: clustered(batch, &random)) }
    let queries = try #require(Matrix(rows: 300, columns: 32, values: clustered(300, &random)))
    func check() throws {
      for (target, least) in [(nil, 0.96), (0.99, 0.985), (1.0, 1.0)] {
        let (recall, found) = try recall(index, queries, target: target)
        #expect(
          recall >= least,
          "\(metric), batches of \(batch), target \(target ?? 0.97), pool \(found.ef ?? 0), expected \(found.expectedRecall ?? 0), \(index.snapshot.calibration)"
        )
        #expect((found.expectedRecall ?? 0) >= (target ?? 0.97))
        if target == 1 { #expect(found.ef == nil) }
      }
    }
    try check()
    // Every third row is removed.
    let gone = slots.enumerated().filter { $0.offset % 3 == 0 }.map(\.element)
    _ = try index.apply(removing: gone, adding: [])
    try check()
    // As many rows as at first are added, from other clusters.
    for _ in 0..<(4000 / batch) { _ = try index.apply(removing: [], adding: clustered(batch, from: 1, &random)) }
    var both = Array(queries.values.prefix(150 * 32))
    both += clustered(150, from: 1, &random)
    let mixed = try #require(Matrix(rows: 300, columns: 32, values: both))
    for (target, least) in [(0.97, 0.96), (0.99, 0.985), (1.0, 1.0)] {
      #expect(try recall(index, mixed, target: target).0 >= least)
    }
  }

  @Test func theDefaultChangesForTheNextSnapshot() throws {
    var random = Seeded(17)
    var low = options()
    low.recallTarget = 0.5
    let index = VectorIndex(dimension: 32, metric: .euclidean, options: low)
    _ = try index.apply(removing: [], adding: clustered(6000, &random))
    let queries = try #require(Matrix(rows: 50, columns: 32, values: clustered(50, &random)))
    // The index measures recall on its first queries, which changes the expected recall.
    for _ in 0..<2 { _ = try recall(index, queries, target: nil) }
    let first = index.snapshot
    #expect(first.defaultTarget == 0.5)
    for target in [0.5, 0.9, 0.99, 1] {
      index.setRecallTarget(target)
      #expect(index.snapshot.defaultTarget == target && index.snapshot.count == 6000)
      let asked = try recall(index, queries, target: target).1
      let found = try recall(index, queries, target: nil).1
      #expect(found.ef == asked.ef && found.expectedRecall == asked.expectedRecall)
      #expect(try #require(found.expectedRecall) >= target)
    }
    #expect(index.snapshot.defaultPool == nil)
    // A write keeps the target, and an earlier snapshot keeps its own.
    _ = try index.apply(removing: [], adding: clustered(10, &random))
    #expect(index.snapshot.defaultTarget == 1 && first.defaultTarget == 0.5)
    index.setRecallTarget(nil)
    #expect(index.snapshot.defaultTarget == 0.5)
    #expect(index.validate().isSound)
  }

  @Test func queriesOfAnotherKindGetLongerPools() throws {
    var random = Seeded(31)
    let index = VectorIndex(dimension: 32, metric: .euclidean, options: options())
    _ = try index.apply(removing: [], adding: clustered(6000, &random))
    // The queries are between the clusters, far from all rows.
    let queries = random.matrix(300, 32)
    let before = index.snapshot.calibration
    #expect(before.asked.queries == 0 && before.rows.queries > 50)
    #expect(try recall(index, queries, target: 0.97).0 >= 0.96)
    let after = index.snapshot.calibration
    #expect(after.asked.queries == 64)
    #expect((after.measuredAt ?? 0) > 1_700_000_000)
    // After the first queries have been measured, the next ones are not.
    _ = try recall(index, queries, target: 0.97)
    #expect(index.snapshot.calibration.asked.queries == 64)
  }

  @Test func recallRisesToOneWithThePool() throws {
    var random = Seeded(3)
    for metric in Metric.allCases {
      let index = VectorIndex(dimension: 32, metric: metric, options: options())
      _ = try index.apply(removing: [], adding: clustered(3000, &random))
      let queries = try #require(Matrix(rows: 100, columns: 32, values: clustered(100, &random)))
      var last = 0.0
      for ef in [8, 64, 512] {
        let (recall, found) = try recall(index, queries, target: nil, mode: .graph(ef: ef))
        #expect(found.ef == ef && recall >= last - 0.005)
        last = recall
      }
      #expect(last >= 0.999, "\(metric)")
    }
  }

  @Test func aCurveIsReadAtItsPools() throws {
    var curve = RecallCurve()
    #expect(curve.recall(ef: 10) == nil && curve.queries == 0)
    for (index, recall) in [(0, 40.0), (1, 90.0), (2, 99.0)] {
      curve.add(RecallCurve.Point(queries: 100, recall: recall, squares: recall * recall / 100, met: 100), at: index)
    }
    #expect(curve.recall(ef: 1) == nil)
    #expect(curve.recall(ef: 2) == 0.4)
    #expect(abs((curve.recall(ef: 3) ?? 0) - 0.65) < 1e-12)
    #expect(curve.recall(ef: 1000) == 0.99)
    var calibration = Calibration()
    calibration.rows = curve
    let choice = try #require(calibration.choice(target: 0.85))
    #expect(choice.ef == 4 && choice.expectedRecall == 0.9 && choice.met == 1)
    // A measured 0.9, minus its standard error, is below the target 0.9, and no pool reaches 0.995.
    #expect(calibration.choice(target: 0.9)?.ef == 6)
    #expect(calibration.choice(target: 0.995) == nil)
    // The recall of clients' queries counts once enough of them are measured.
    for (index, recall) in [(0, 1.0), (1, 10.0), (2, 38.0)] {
      calibration.asked.add(
        RecallCurve.Point(queries: 40, recall: recall, squares: recall * recall / 40, met: 80), at: index)
    }
    #expect(calibration.choice(target: 0.85)?.ef == 6)
    #expect(calibration.expectedRecall(ef: 4) == 0.25)
    var fading = curve
    fading.fade(to: 0.5)
    #expect(fading.queries == 50 && fading.recall(ef: 4) == 0.9)
  }

  @Test func whatIsNoCurveIsRefused() {
    let points = RecallCurve().points
    #expect(RecallCurve(points: points, scans: .init()) != nil)
    #expect(RecallCurve(points: Array(points.dropLast()), scans: .init()) == nil)
    for wrong in [
      RecallCurve.Point(queries: .nan), .init(queries: -1), .init(queries: 1, recall: 2),
      .init(queries: 1, recall: .nan),
      .init(queries: 1, recall: 1, met: .infinity), .init(queries: 1, recall: -0.1),
      .init(queries: 2, recall: 1, squares: 1.5),
    ] {
      var changed = points
      changed[3] = wrong
      #expect(RecallCurve(points: changed, scans: .init()) == nil)
    }
    for wrong in [RecallCurve.Scans(queries: -1), .init(rough: .nan), .init(full: .infinity)] {
      #expect(RecallCurve(points: points, scans: wrong) == nil)
    }
  }
}
