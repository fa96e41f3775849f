import SimilarityCore
import TestSupport
import Testing
import VectorIndex

/// Rows with equal values, in every search mode.
@Suite struct EqualRowTests {
  private static let modes: [SearchOptions.Mode] = [.exact, .automatic, .graph(ef: 40), .graph(ef: nil)]

  private func index(_ dimension: Int, _ metric: Metric, graph: Bool) -> VectorIndex {
    var options = IndexOptions()
    options.graphThreshold = graph ? 500 : .max
    return VectorIndex(dimension: dimension, metric: metric, options: options)
  }

  /// Stored rows are queries: alone, in a batch, and under a filter, in an index with a graph and in one without.
  @Test(arguments: [Metric.cosine, .euclidean], [3, 24, 100, 384])
  func aRowFindsItselfWithTheBestScoreThereIs(_ metric: Metric, _ dimension: Int) throws {
    for graph in [true, false] { try aRowFindsItself(metric, dimension, graph: graph) }
  }

  private func aRowFindsItself(_ metric: Metric, _ dimension: Int, graph: Bool) throws {
    var random = Seeded(UInt64(dimension))
    var rows = random.floats(1200 * dimension)
    // The rows have very different lengths, and two thirds of them are nearly parallel to each other.
    for row in 0..<1200 {
      let scale = [1, 1e-12, 3, 1e9][row % 4] as Float
      for column in 0..<dimension {
        let at = row * dimension + column
        rows[at] = row % 3 == 0 ? scale * rows[at] : scale * (1 + 1e-7 * rows[at])
      }
    }
    let index = index(dimension, metric, graph: graph)
    let slots = try index.apply(removing: [], adding: rows)
    let best = metric == .cosine ? 1.0 : 0
    var even = SlotSet()
    for slot in slots where slot % 2 == 0 { even.insert(slot) }
    for count in [1, 60] {
      let asked = (0..<count).map { $0 * 17 }
      let values = asked.flatMap { rows[$0 * dimension..<($0 + 1) * dimension] }
      let queries = try #require(Matrix(rows: count, columns: dimension, values: values))
      for mode in Self.modes {
        for allowed in [nil, even] {
          var options = SearchOptions(k: 10)
          (options.mode, options.allowed) = (mode, allowed)
          let found = try index.snapshot.nearest(to: queries, options, tiePrecedes: <).neighbors
          var missed = 0
          for (row, neighbors) in zip(asked, found) {
            let own = neighbors.first { $0.position == slots[row] }
            if let own {
              #expect(own.score == best, "\(mode), row \(row)")
            } else if allowed?.contains(slots[row]) != false {
              // More than nine other rows may have the same score in f64.
              if mode == .exact { #expect(neighbors[9].score == best) }
              if row % 3 == 0 { missed += 1 }
            }
            #expect(neighbors.allSatisfy { $0.score <= best && ($0.score != 0 || $0.score.sign == .plus) })
            if metric == .cosine { #expect(neighbors.allSatisfy { $0.score >= -1 }) }
          }
          // Most of the rows that are unlike all others are found, so that the checks above are not vacuous.
          #expect(missed * 4 <= count)
        }
      }
    }
  }

  @Test func theOppositeOfARowIsAtMinusOne() throws {
    var random = Seeded(12)
    let index = index(48, .cosine, graph: false)
    let rows = random.floats(50 * 48)
    _ = try index.apply(removing: [], adding: rows)
    let queries = try #require(Matrix(rows: 50, columns: 48, values: rows.map { -$0 }))
    let found = try index.snapshot.nearest(to: queries, SearchOptions(k: 50), tiePrecedes: <).neighbors
    for row in 0..<50 { #expect(found[row].last == Candidate(position: row, score: -1)) }
  }

  /// Among thousands of rows with equal scores, a graph search does not visit all. The rows that it visits are ordered
  /// as the caller requests, and the first of them are returned.
  @Test(arguments: [Metric.cosine, .dot, .euclidean], [5, 3000])
  func tiesAreInTheCallersOrder(_ metric: Metric, _ copies: Int) throws {
    var random = Seeded(77)
    var rows = random.floats(4000 * 20)
    for row in 1000..<1000 + copies {
      for column in 0..<20 { rows[row * 20 + column] = rows[column] }
    }
    let index = index(20, metric, graph: true)
    let slots = try index.apply(removing: [], adding: rows)
    let equal = Set([slots[0]] + slots[1000..<1000 + copies])
    let query = try #require(Matrix(rows: 1, columns: 20, values: Array(rows[..<20])))
    var odd = SlotSet()
    for slot in slots where slot % 2 == 1 { odd.insert(slot) }
    for mode in Self.modes {
      for allowed in [nil, odd] {
        var options = SearchOptions(k: 10)
        (options.mode, options.allowed) = (mode, allowed)
        let rising = try index.snapshot.nearest(to: query, options, tiePrecedes: <).neighbors[0]
        let falling = try index.snapshot.nearest(to: query, options, tiePrecedes: >).neighbors[0]
        for (neighbors, isRising) in [(rising, true), (falling, false)] {
          #expect(neighbors.count == 10)
          for (a, b) in zip(neighbors, neighbors.dropFirst()) {
            #expect(a.score > b.score || (a.score == b.score && (a.position < b.position) == isRising))
          }
        }
        let (up, down) = (rising.map(\.position).filter(equal.contains), falling.map(\.position).filter(equal.contains))
        let reachable = equal.filter { allowed?.contains($0) ?? true }
        // With the inner product, longer rows score higher than the copies.
        guard metric != .dot else { continue }
        if reachable.count <= 10 {
          #expect(Set(up) == reachable && Set(down) == reachable, "\(mode)")
        } else {
          #expect(up.count == 10 && down.count == 10)
          // Both results are taken from the same rows, from opposite ends of their order.
          #expect(up.allSatisfy { $0 <= down[9] } && down.allSatisfy { $0 >= up[9] }, "\(mode)")
          if mode == .exact { #expect(up == Array(reachable.sorted().prefix(10))) }
        }
      }
    }
  }
}
