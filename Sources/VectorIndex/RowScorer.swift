import SimilarityCore

/// The final score of a row, an f64 sum over its f32 values, from which every search takes its scores.
enum RowScore {
  /// Exactly 1 under the cosine, and 0 (not −0) as a distance, for a row whose values are those of the query.
  ///
  /// - Parameters:
  ///   - querySquare: ‖query‖².
  ///   - square: ‖row‖², which only the cosine needs.
  @inline(__always) static func of(
    _ row: UnsafeBufferPointer<Float>, square: @autoclosure () -> Double, to query: UnsafeBufferPointer<Float>,
    querySquare: Double, _ metric: Metric, _ kernels: Kernels
  ) -> Double {
    switch metric {
    case .cosine: kernels.cosine(query, row, squares: (querySquare, square()))
    case .dot: kernels.dot(query, row)
    case .euclidean: 0 - kernels.squaredDistance(query, row).squareRoot()
    }
  }
}

/// Scores rows that are not in an index, such as those that a database gives, with the same bits as an index gives them.
package struct RowScorer: Sendable {
  private let query: [Float]
  private let square: Double
  private let metric: Metric
  private let kernels: Kernels

  package init(_ query: [Float], metric: Metric, kernels: Kernels = .active) {
    self.query = query
    self.metric = metric
    self.kernels = kernels
    square = query.withUnsafeBufferPointer { kernels.dot($0, $0) }
  }

  /// - Parameter row: as many values as the query has.
  package func score(_ row: [Float]) -> Double {
    query.withUnsafeBufferPointer { query in
      row.withUnsafeBufferPointer { row in
        RowScore.of(row, square: kernels.dot(row, row), to: query, querySquare: square, metric, kernels)
      }
    }
  }
}
