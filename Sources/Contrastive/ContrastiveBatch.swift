import SimilarityCore

/// One scored batch, checked: whatever an objective reads from it is in range.
public struct ContrastiveBatch: Sendable {
  /// N×d.
  public let queries: Matrix
  /// P×d.
  public let keys: Matrix
  public let negatives: Negatives?
  /// For each query the key that it belongs to.
  public let positives: [Int]

  /// - Parameter positives: for each query the index of its key; nil pairs row i with row i and needs N keys.
  /// - Throws: ``ContrastiveError`` naming the field, and the row where there is one.
  public init(
    queries: Matrix, keys: Matrix, negatives: Negatives? = nil, positives: [Int]? = nil
  ) throws(ContrastiveError) {
    guard queries.rows > 0 else { throw ContrastiveError(field: "queries", reason: "the batch is empty") }
    guard queries.columns > 0 else { throw ContrastiveError(field: "queries", row: 0, reason: "the row is empty") }
    guard keys.rows > 0 else { throw ContrastiveError(field: "keys", reason: "there is no key") }
    guard keys.columns == queries.columns else {
      throw ContrastiveError(field: "keys", reason: Self.mismatch(keys.columns, queries.columns))
    }
    if let matrix = negatives?.matrix, matrix.rows > 0, matrix.columns != queries.columns {
      throw ContrastiveError(field: "negatives", reason: Self.mismatch(matrix.columns, queries.columns))
    }
    if case .paired(let matrix, let perQuery) = negatives {
      let (needed, overflow) = perQuery.multipliedReportingOverflow(by: queries.rows)
      guard !overflow, matrix.rows == needed else {
        throw ContrastiveError(
          field: "negatives", reason: "each of the \(queries.rows) queries needs its own group of negatives")
      }
    }
    self.positives = try Self.paired(positives, queries: queries.rows, keys: keys.rows)
    self.queries = queries
    self.keys = keys
    self.negatives = negatives
  }

  private static func paired(_ given: [Int]?, queries: Int, keys: Int) throws(ContrastiveError) -> [Int] {
    guard let given else {
      guard queries == keys else {
        throw ContrastiveError(
          field: "positives", reason: "required, since there are \(queries) queries and \(keys) keys")
      }
      return Array(0..<queries)
    }
    guard given.count == queries else {
      throw ContrastiveError(field: "positives", reason: "has \(given.count) entries for \(queries) queries")
    }
    for (row, key) in given.enumerated() where key < 0 || key >= keys {
      throw ContrastiveError(field: "positives", row: row, reason: "\(key) is not the index of one of the \(keys) keys")
    }
    return given
  }

  private static func mismatch(_ found: Int, _ expected: Int) -> String {
    "rows have \(found) values where queries have \(expected)"
  }
}
