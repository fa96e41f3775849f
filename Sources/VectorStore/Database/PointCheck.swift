import SimilarityCore
import VectorIndex

/// What points and queries must be like, wherever a collection is kept.
package enum PointCheck {
  /// - Throws: ``StoreError`` naming the first row that cannot be stored.
  package static func check(_ points: [Point], dimension: Int, metric: Metric) throws(StoreError) {
    for (row, point) in points.enumerated() {
      guard point.vector.count == dimension else {
        throw .dimension(row: row, expected: dimension, found: point.vector.count)
      }
      guard point.vector.allSatisfy(\.isFinite) else { throw .notFinite(row: row) }
      guard metric != .cosine || point.vector.contains(where: { $0 != 0 }) else { throw .zeroVector(row: row) }
    }
    try check(ids: points.map(\.id))
  }

  /// - Throws: ``StoreError/duplicateID(row:)`` for an id that stands twice.
  package static func check(ids: [String]) throws(StoreError) {
    if let row = IDBytes.firstRepeated(ids.count, id: { ids[$0] }) { throw .duplicateID(row: row) }
  }

  /// - Throws: ``StoreError`` naming the query that cannot be compared.
  package static func check(queries: Matrix, dimension: Int, metric: Metric) throws(StoreError) {
    guard queries.columns == dimension else {
      throw .dimension(row: 0, expected: dimension, found: queries.columns)
    }
    guard metric == .cosine else { return }
    for row in 0..<queries.rows where queries.row(row).allSatisfy({ $0 == 0 }) { throw .zeroVector(row: row) }
  }
}
