import SimilarityCore
import TestSupport
import Testing
import VectorIndex

/// Exact scans read lists of rows by cell, which are rebuilt only now and then. Rows that changed since must be found,
/// too.
@Suite("Exact scans by cell")
struct CellScanTests {
  /// Rows in clusters, so that most cells can be skipped.
  private func clustered(_ count: Int, _ dimension: Int, centres: Int, shift: Float, _ random: inout Seeded) -> [Float]
  {
    let middle = random.floats(centres * dimension)
    var rows = random.floats(count * dimension)
    for row in 0..<count {
      let home = row * 7 % centres
      for column in 0..<dimension {
        rows[row * dimension + column] =
          4 * middle[home * dimension + column] + 0.1 * rows[row * dimension + column] + shift
      }
    }
    return rows
  }

  /// Rows are added, removed, and added in the slots of removed ones. The dimensions cover codes of 8 and of 4 bits.
  /// Queries run alone, in a batch, under a filter, and with one row excluded.
  @Test(arguments: [20, 100, 200], Metric.allCases)
  func laterRowsAndSlotsUsedAgainAreFound(_ dimension: Int, _ metric: Metric) throws {
    var random = Seeded(UInt64(dimension))
    let index = VectorIndex(dimension: dimension, metric: metric)
    var truth = BruteForce(metric, dimension)
    let first = clustered(3000, dimension, centres: 40, shift: 0, &random)
    let slots = try index.apply(removing: [], adding: first)
    truth.add(first, at: slots)
    var queries = Array(first[..<(10 * dimension)])
    for round in 0..<6 {
      let removed = slots.indices.filter { $0 % 16 == round }.map { slots[$0] }
      for slot in removed { truth.vectors[slot] = nil }
      // Fewer than an eighth of the rows change per round, so that the lists are kept for some rounds.
      let added = clustered(120, dimension, centres: 5, shift: round.isMultiple(of: 2) ? 0 : 2, &random)
      let new = try index.apply(removing: removed, adding: added)
      truth.add(added, at: new)
      queries += added[..<(5 * dimension)]
      let matrix = try #require(Matrix(rows: queries.count / dimension, columns: dimension, values: queries))
      var allowed = SlotSet()
      for slot in truth.vectors.keys where slot % 3 == 0 { allowed.insert(slot) }
      var options = SearchOptions(k: 10)
      options.mode = .exact
      var filtered = options
      filtered.allowed = allowed
      let batch = try index.snapshot.nearest(to: matrix, options, tiePrecedes: <).neighbors
      for row in 0..<matrix.rows {
        let query = Array(matrix.row(row))
        let one = try #require(Matrix(rows: 1, columns: dimension, values: query))
        let expected = truth.nearest(query, 10)
        let alone = try index.snapshot.nearest(to: one, options, tiePrecedes: <).neighbors[0]
        #expect(alone == expected)
        #expect(batch[row] == expected)
        let matching = try index.snapshot.nearest(to: one, filtered, tiePrecedes: <).neighbors[0]
        #expect(matching == truth.nearest(query, 10) { $0 % 3 == 0 })
        var others = options
        others.excluded = [expected[0].position]
        let rest = try index.snapshot.nearest(to: one, others, tiePrecedes: <).neighbors[0]
        #expect(rest == truth.nearest(query, 10) { $0 != expected[0].position })
      }
    }
  }

  /// Filters match the rows nearest to the query or farthest from it, so that all, few or none of the rows in the
  /// nearest cells match. Some rows are not in the lists yet.
  @Test(arguments: [20, 200], Metric.allCases)
  func filtersOfEveryPlaceAndShare(_ dimension: Int, _ metric: Metric) throws {
    var random = Seeded(UInt64(dimension) + 1)
    let index = VectorIndex(dimension: dimension, metric: metric)
    var truth = BruteForce(metric, dimension)
    for count in [4000, 200] {
      let rows = clustered(count, dimension, centres: 40, shift: 0, &random)
      truth.add(rows, at: try index.apply(removing: [], adding: rows))
    }
    let query = clustered(1, dimension, centres: 1, shift: 0, &random)
    let matrix = try #require(Matrix(rows: 1, columns: dimension, values: query))
    let order = truth.nearest(query, 4200).map(\.position)
    #expect(order.count == 4200)
    for share in [0.9, 0.5, 0.1, 0.01, 0.002] {
      let count = Int(4200 * share)
      for matching in [order.prefix(count), order.suffix(count), order[(2100 - count / 2)..<(2100 + count / 2)]] {
        let allowed = Set(matching)
        var options = SearchOptions(k: 10)
        options.mode = .exact
        options.allowed = SlotSet()
        for slot in allowed { options.allowed?.insert(slot) }
        for threads in [1, 2] {
          options.loop = ParallelLoop(threads: threads)
          let found = try index.snapshot.nearest(to: matrix, options, tiePrecedes: <).neighbors[0]
          #expect(found == truth.nearest(query, 10) { allowed.contains($0) })
        }
      }
    }
  }
}
