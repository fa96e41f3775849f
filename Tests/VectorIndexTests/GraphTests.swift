import SimilarityCore
import TestSupport
import Testing
import VectorIndex

@Suite("The graph")
struct GraphTests {
  private func options(_ threads: Int = 1) -> IndexOptions {
    var options = IndexOptions()
    options.graphThreshold = 500
    options.threads = threads
    return options
  }

  /// Points around 40 centres.
  private func clustered(_ count: Int, _ dimension: Int, _ random: inout Seeded) -> [Float] {
    // The centres are the same for every call, so that queries are near the points.
    var fixed = Seeded(40)
    let centres = fixed.floats(40 * dimension)
    var rows: [Float] = []
    for row in 0..<count {
      let noise = random.floats(dimension)
      let centre = row * 7 % 40
      for column in 0..<dimension { rows.append(centres[centre * dimension + column] + 0.4 * noise[column]) }
    }
    return rows
  }

  private func recall(_ index: VectorIndex, _ queries: Matrix, ef: Int?) throws -> Double {
    var exact = SearchOptions(k: 10)
    exact.mode = .exact
    var walk = exact
    walk.mode = .graph(ef: ef)
    let truth = try index.snapshot.nearest(to: queries, exact, tiePrecedes: <)
    let found = try index.snapshot.nearest(to: queries, walk, tiePrecedes: <)
    #expect(found.usedGraph && !truth.usedGraph)
    let hits = zip(truth.neighbors, found.neighbors).reduce(0) { sum, pair in
      sum + Set(pair.0.map(\.position)).intersection(pair.1.map(\.position)).count
    }
    return Double(hits) / Double(10 * queries.rows)
  }

  @Test(arguments: Metric.allCases)
  func findsWhatTheExactSearchFinds(_ metric: Metric) throws {
    var random = Seeded(3)
    let index = VectorIndex(dimension: 48, metric: metric, options: options(2))
    _ = try index.apply(removing: [], adding: clustered(5000, 48, &random))
    let report = index.validate()
    #expect(report.isSound, "\(report)")
    #expect(report.nodes == 5000 && report.edges > 5000 * 8)
    let queries = try #require(Matrix(rows: 200, columns: 48, values: clustered(200, 48, &random)))
    #expect(try recall(index, queries, ef: 200) > 0.99)
    #expect(index.snapshot.calibration.rows.queries > 0)
    #expect(try recall(index, queries, ef: nil) > 0.96)
  }

  @Test func isTheSameForAnyNumberOfThreads() throws {
    var found: [[[Candidate]]] = []
    for threads in [1, 2, 3] {
      var random = Seeded(8)
      let index = VectorIndex(dimension: 24, metric: .cosine, options: options(threads))
      for _ in 0..<4 { _ = try index.apply(removing: [], adding: clustered(700, 24, &random)) }
      let queries = try #require(Matrix(rows: 50, columns: 24, values: clustered(50, 24, &random)))
      var walk = SearchOptions(k: 10)
      walk.mode = .graph(ef: 12)
      found.append(try index.snapshot.nearest(to: queries, walk, tiePrecedes: <).neighbors)
    }
    #expect(found[0] == found[1] && found[1] == found[2])
  }

  @Test func staysGoodUnderMixedWrites() throws {
    var random = Seeded(21)
    let index = VectorIndex(dimension: 32, metric: .cosine, options: options())
    var truth = BruteForce(.cosine, 32)
    var slots: [Int] = []
    for round in 0..<120 {
      let rows = clustered(100, 32, &random)
      var removed: [Int] = []
      if round > 30 {
        for _ in 0..<100 where !slots.isEmpty {
          removed.append(slots.remove(at: Int(random.next() % UInt64(slots.count))))
        }
      }
      let added = try index.apply(removing: removed, adding: rows)
      for slot in removed { truth.vectors[slot] = nil }
      truth.add(rows, at: added)
      slots += added
      #expect(Set(slots).count == slots.count, "a slot was given out twice")
    }
    #expect(index.snapshot.count == truth.vectors.count)
    let report = index.validate()
    #expect(report.dangling == 0 && report.repeated == 0, "\(report)")
    let queries = try #require(Matrix(rows: 100, columns: 32, values: clustered(100, 32, &random)))
    let mixed = try recall(index, queries, ef: 40)
    let fresh = VectorIndex(dimension: 32, metric: .cosine, options: options())
    _ = try fresh.apply(removing: [], adding: slots.sorted().flatMap { index.snapshot.vector(at: $0) })
    #expect(try recall(fresh, queries, ef: 40) - mixed <= 0.005)
    for row in 0..<20 {
      var exact = SearchOptions(k: 10)
      exact.mode = .exact
      let query = try #require(Matrix(rows: 1, columns: 32, values: Array(queries.row(row))))
      #expect(
        try index.snapshot.nearest(to: query, exact, tiePrecedes: <).neighbors[0]
          == truth.nearest(Array(queries.row(row)), 10))
    }
  }

  @Test func everythingCanGoAndComeBack() throws {
    var random = Seeded(2)
    let index = VectorIndex(dimension: 16, metric: .cosine, options: options())
    let first = try index.apply(removing: [], adding: clustered(900, 16, &random))
    let old = index.snapshot
    #expect(try index.apply(removing: first, adding: []) == [])
    #expect(index.snapshot.count == 0 && index.snapshot.graph == nil)
    let rows = clustered(600, 16, &random)
    _ = try index.apply(removing: [], adding: rows)
    #expect(index.snapshot.count == 600)
    #expect(index.validate().isSound)
    // The earlier snapshot is unchanged.
    #expect(old.count == 900 && old.vector(at: first[0]).count == 16)
  }

  @Test func filtersGiveAllThatMatch() throws {
    var random = Seeded(4)
    let index = VectorIndex(dimension: 24, metric: .cosine, options: options())
    let rows = clustered(3000, 24, &random)
    let slots = try index.apply(removing: [], adding: rows)
    var truth = BruteForce(.cosine, 24)
    truth.add(rows, at: slots)
    let query = random.floats(24)
    let matrix = try #require(Matrix(rows: 1, columns: 24, values: query))
    for keep in [1, 7, 40, 400] {
      var options = SearchOptions(k: 10)
      options.allowed = SlotSet()
      for slot in slots where slot % (3000 / keep) == 0 { options.allowed?.insert(slot) }
      for mode in [SearchOptions.Mode.automatic, .exact, .graph(ef: 16)] {
        options.mode = mode
        let found = try index.snapshot.nearest(to: matrix, options, tiePrecedes: <).neighbors[0]
        let expected = truth.nearest(query, 10) { options.allowed?.contains($0) == true }
        #expect(found.count == expected.count)
        if mode == .exact { #expect(found == expected) }
        #expect(found.allSatisfy { options.allowed?.contains($0.position) == true })
        let hits = Set(found.map(\.position)).intersection(expected.map(\.position)).count
        // The bound is low, because this is a single query with a pool that was not calibrated.
        #expect(hits * 10 >= expected.count * (mode == .automatic ? 8 : 5), "\(keep) match, \(mode)")
      }
    }
  }
}
