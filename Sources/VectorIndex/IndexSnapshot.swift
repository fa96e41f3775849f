import SimilarityCore

/// One state of an index, which later writes do not touch.
public final class IndexSnapshot: Sendable {
  public let dimension: Int
  public let metric: Metric
  let rows: [Float]
  let live: SlotSet

  init(dimension: Int, metric: Metric, rows: [Float], live: SlotSet) {
    self.dimension = dimension
    self.metric = metric
    self.rows = rows
    self.live = live
  }

  /// Vectors held.
  public var count: Int { live.count }

  /// The vector in `slot` as it was stored; empty when there is none.
  public func vector(at slot: Int) -> [Float] {
    live.contains(slot) ? Array(rows[slot * dimension..<(slot + 1) * dimension]) : []
  }

  /// The `options.k` nearest vectors of each row of `queries`. A query's answer has the same bytes alone and in any batch.
  ///
  /// - Parameter tiePrecedes: decides between two slots of equal score.
  /// - Throws: ``IndexError`` naming the row of a query that cannot be compared.
  public func nearest(
    to queries: Matrix, _ options: SearchOptions, tiePrecedes: @escaping @Sendable (Int, Int) -> Bool
  ) throws(IndexError) -> SearchResult {
    guard queries.columns == dimension else {
      throw .dimension(row: 0, expected: dimension, found: queries.columns)
    }
    var all: [[Candidate]] = []
    for row in 0..<queries.rows {
      let query = queries.row(row)
      let norm = Self.dot(query, query).squareRoot()
      guard metric != .cosine || norm > 0 else { throw .zeroVector(row: row) }
      var best = TopK(capacity: min(options.k, count)) { a, b in
        a.score != b.score ? a.score > b.score : tiePrecedes(a.position, b.position)
      }
      live.forEach { slot in
        guard options.allowed?.contains(slot) ?? true else { return }
        guard options.excluded.isEmpty || options.excluded[row] != slot else { return }
        let vector = rows[slot * dimension..<(slot + 1) * dimension]
        best.insert(Candidate(position: slot, score: score(query, norm, vector)))
      }
      all.append(best.sorted())
    }
    return SearchResult(neighbors: all, usedGraph: false)
  }

  private func score(_ query: ArraySlice<Float>, _ norm: Double, _ vector: ArraySlice<Float>) -> Double {
    switch metric {
    case .dot: return Self.dot(query, vector)
    case .cosine: return Self.dot(query, vector) / (norm * Self.dot(vector, vector).squareRoot())
    case .euclidean:
      let squares = zip(query, vector).reduce(0.0) { sum, pair in
        let difference = Double(pair.0) - Double(pair.1)
        return sum + difference * difference
      }
      return -squares.squareRoot()
    }
  }

  private static func dot(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Double {
    a.withUnsafeBufferPointer { a in b.withUnsafeBufferPointer { b in Kernels.active.dot(a, b) } }
  }
}
