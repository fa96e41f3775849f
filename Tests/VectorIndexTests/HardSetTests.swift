import SimilarityCore
import TestSupport
import Testing
import VectorIndex

@Suite("Sets that are hard for a graph")
struct HardSetTests {
  private func index(_ metric: Metric, _ dimension: Int) -> VectorIndex {
    var options = IndexOptions()
    options.graphThreshold = 500
    return VectorIndex(dimension: dimension, metric: metric, options: options)
  }

  private func search(_ index: VectorIndex, _ query: [Float], ef: Int?) throws -> [Candidate] {
    var options = SearchOptions(k: 10)
    options.mode = ef.map { .graph(ef: $0) } ?? .exact
    let matrix = try #require(Matrix(rows: 1, columns: query.count, values: query))
    return try index.snapshot.nearest(to: matrix, options, tiePrecedes: <).neighbors[0]
  }

  /// Of 4,000 rows, 3,000 are copies of 6 others. The lists of neighbours must not be filled with copies.
  @Test(arguments: [Metric.cosine, .euclidean], [0, 1e-4 as Float])
  func copiesByTheThousandHideNobody(_ metric: Metric, _ jitter: Float) throws {
    var random = Seeded(19)
    let index = index(metric, 24)
    var rows = random.floats(4000 * 24)
    for row in 1000..<4000 {
      let noise = random.floats(24)
      for column in 0..<24 { rows[row * 24 + column] = rows[row % 6 * 24 + column] + jitter * noise[column] }
    }
    for first in stride(from: 0, to: 4000, by: 250) {
      _ = try index.apply(removing: [], adding: Array(rows[first * 24..<(first + 250) * 24]))
    }
    let report = index.validate()
    #expect(report.dangling == 0 && report.repeated == 0)
    // Rows that were added since the last check of reachability may be unreachable until the next.
    #expect(report.unreachable <= 20, "\(report)")
    var hits = 0
    for row in 0..<100 {
      let query = Array(rows[(6 + row) * 24..<(7 + row) * 24])
      let truth = try search(index, query, ef: nil)
      hits += try search(index, query, ef: 64).count { $0.score >= truth[9].score }
    }
    #expect(hits >= 980)
    // The ten nearest neighbours of a copied row are copies of it.
    let copied = Array(rows[..<24])
    let truth = try search(index, copied, ef: nil)
    let found = try search(index, copied, ef: 64)
    #expect(found.count == 10)
    #expect(found.count { $0.score >= truth[9].score } >= 9)
  }

  @Test func aMatchThatIsLeftOutLeavesNothing() throws {
    var random = Seeded(41)
    let index = index(.euclidean, 8)
    let rows = random.floats(2000 * 8)
    let slots = try index.apply(removing: [], adding: rows)
    let query = try #require(Matrix(rows: 1, columns: 8, values: Array(rows[..<8])))
    for mode in [SearchOptions.Mode.automatic, .graph(ef: 16), .exact] {
      var options = SearchOptions(k: 10)
      (options.mode, options.allowed, options.excluded) = (mode, SlotSet(), [slots[0]])
      options.allowed?.insert(slots[0])
      #expect(try index.snapshot.nearest(to: query, options, tiePrecedes: <).neighbors == [[]])
      // When a second row matches, it is found.
      options.allowed?.insert(slots[7])
      let found = try index.snapshot.nearest(to: query, options, tiePrecedes: <).neighbors[0]
      #expect(found.map(\.position) == [slots[7]])
    }
  }

  /// There are 12 rows far from 3,000 others that were added before them.
  @Test func aFarClusterIsFound() throws {
    var random = Seeded(23)
    let index = index(.euclidean, 16)
    _ = try index.apply(removing: [], adding: random.floats(3000 * 16))
    let far = random.floats(12 * 16).map { 1000 + 0.1 * $0 }
    let slots = try index.apply(removing: [], adding: far)
    for row in 0..<12 {
      let found = try search(index, Array(far[row * 16..<(row + 1) * 16]), ef: 32)
      #expect(found.allSatisfy { slots.contains($0.position) } && found.first?.position == slots[row])
    }
    #expect(index.validate().isSound)
  }

  /// The largest norm grows with every batch. Rows that were linked before must still be found.
  @Test func largerNormsMayComeLater() throws {
    var random = Seeded(29)
    let index = index(.dot, 16)
    for step in 0..<20 {
      let scale = Float(1 + step * step)
      _ = try index.apply(removing: [], adding: random.floats(150 * 16).map { scale * $0 })
    }
    var hits = 0
    for _ in 0..<100 {
      let query = random.floats(16)
      let truth = try search(index, query, ef: nil)
      hits += try search(index, query, ef: 128).count { $0.score >= truth[9].score }
    }
    #expect(hits >= 980)
  }

  /// The matches are near the query, or only far from it.
  @Test(arguments: [0.5, 0.1, 0.01], [true, false])
  func filtersNearAndFarFindTheirMatches(_ share: Double, _ isNear: Bool) throws {
    var random = Seeded(37)
    let index = index(.euclidean, 16)
    let rows = random.floats(6000 * 16)
    let slots = try index.apply(removing: [], adding: rows)
    let query = random.floats(16)
    func distance(_ row: Int) -> Float {
      (0..<16).reduce(0) { $0 + (rows[row * 16 + $1] - query[$1]) * (rows[row * 16 + $1] - query[$1]) }
    }
    let order = (0..<6000).sorted { distance($0) < distance($1) }
    let count = Int(6000 * share)
    var options = SearchOptions(k: 10)
    options.allowed = SlotSet()
    for row in isNear ? order.prefix(count) : order.suffix(count) { options.allowed?.insert(slots[row]) }
    let matrix = try #require(Matrix(rows: 1, columns: 16, values: query))
    var exact = options
    exact.mode = .exact
    let truth = try index.snapshot.nearest(to: matrix, exact, tiePrecedes: <).neighbors[0]
    for mode in [SearchOptions.Mode.automatic, .graph(ef: 48)] {
      options.mode = mode
      let found = try index.snapshot.nearest(to: matrix, options, tiePrecedes: <).neighbors[0]
      #expect(found.count == 10)
      #expect(found.allSatisfy { options.allowed?.contains($0.position) == true })
      #expect(found.count { $0.score >= truth[9].score } >= 9)
    }
  }
}
