import SimilarityCore

/// One batch as it was given; ``ContrastiveLoss/evaluate(_:_:kernels:)`` checks it.
public struct LossInput: Sendable {
  /// N×d.
  public var queries: Matrix
  /// P×d; nil only for `supcon` with one view.
  public var keys: Matrix?
  public var negatives: Negatives?
  /// For each query the index of its key; nil pairs row i with row i.
  public var positives: [Int]?
  /// For each query its class (`supcon`).
  public var labels: [Int]?
  /// Q×d, oldest first: further negatives of every row, without gradients. Q may be 0.
  public var queue: Matrix?

  public init(
    queries: Matrix, keys: Matrix? = nil, negatives: Negatives? = nil, positives: [Int]? = nil, labels: [Int]? = nil,
    queue: Matrix? = nil
  ) {
    self.queries = queries
    self.keys = keys
    self.negatives = negatives
    self.positives = positives
    self.labels = labels
    self.queue = queue
  }
}

/// Rows that every query is pushed away from, beside the keys.
public enum Negatives: Sendable {
  /// M×d: all rows of the batch have the same ones.
  case shared(Matrix)
  /// (N·M)×d: query i has rows i·M ..< (i+1)·M.
  case paired(Matrix, perQuery: Int)

  var matrix: Matrix {
    switch self {
    case .shared(let matrix), .paired(let matrix, _): matrix
    }
  }

  /// How many negatives each query has for itself; nil where they are shared.
  var perQuery: Int? {
    if case .paired(_, let perQuery) = self { perQuery } else { nil }
  }
}

/// The checks that come before any arithmetic: afterwards every shape fits, what the objective requires is there, and
/// ``pairing(keys:)`` checks every index.
extension LossInput {
  /// - Throws: ``ContrastiveError`` naming the field, and the row where there is one.
  func check(_ options: LossOptions) throws(ContrastiveError) {
    let objective = options.objective
    let temperature = options.temperature
    guard temperature > 0, temperature.isFinite, (1 / temperature).isFinite else {
      throw ContrastiveError(field: "temperature", reason: "must be a positive number")
    }
    guard options.bias.isFinite else { throw ContrastiveError(field: "bias", reason: "must be a number") }
    guard queries.rows > 0 else { throw ContrastiveError(field: "queries", reason: "the batch is empty") }
    guard queries.columns > 0 else { throw ContrastiveError(field: "queries", row: 0, reason: "the row is empty") }
    let given: [(option: Objective.Option, isGiven: Bool, matrix: Matrix?)] = [
      (.keys, keys != nil, keys), (.negatives, negatives != nil, negatives?.matrix), (.queue, queue != nil, queue),
      (.positives, positives != nil, nil), (.labels, labels != nil, nil),
    ]
    for (option, isGiven, matrix) in given {
      let field = option.rawValue
      if isGiven, !objective.options.contains(option) {
        throw ContrastiveError(field: field, reason: "\(objective.rawValue) does not use it")
      }
      if !isGiven, objective.requiredOptions.contains(option) {
        throw ContrastiveError(field: field, reason: "\(objective.rawValue) needs it")
      }
      guard let matrix, matrix.rows > 0 else { continue }
      guard matrix.columns == queries.columns else {
        let reason = "rows have \(matrix.columns) values where queries have \(queries.columns)"
        throw ContrastiveError(field: field, reason: reason)
      }
    }
    if let keys, keys.rows == 0 { throw ContrastiveError(field: "keys", reason: "there is no key") }
    if case .paired(let matrix, let perQuery) = negatives {
      let (needed, overflow) = perQuery.multipliedReportingOverflow(by: queries.rows)
      guard !overflow, matrix.rows == needed else {
        let reason = "each of the \(queries.rows) queries needs its own group of negatives"
        throw ContrastiveError(field: "negatives", reason: reason)
      }
    }
    if let labels, labels.count != queries.rows {
      throw ContrastiveError(field: "labels", reason: "has \(labels.count) entries for \(queries.rows) queries")
    }
    if let keys, !objective.options.contains(.positives), keys.rows != queries.rows {
      throw ContrastiveError(
        field: "keys", reason: "\(objective.rawValue) needs one key per query, not \(keys.rows) for \(queries.rows)")
    }
  }

  /// For each query the index of its key.
  ///
  /// - Throws: ``ContrastiveError`` naming `positives`, and the row where one is out of range.
  func pairing(keys: Int) throws(ContrastiveError) -> [Int] {
    guard let positives else {
      guard queries.rows == keys else {
        throw ContrastiveError(
          field: "positives", reason: "is required, because there are \(queries.rows) queries and \(keys) keys")
      }
      return Array(0..<keys)
    }
    guard positives.count == queries.rows else {
      throw ContrastiveError(field: "positives", reason: "has \(positives.count) entries for \(queries.rows) queries")
    }
    for (row, key) in positives.enumerated() where key < 0 || key >= keys {
      throw ContrastiveError(field: "positives", row: row, reason: "\(key) is not the index of one of the \(keys) keys")
    }
    return positives
  }

  /// The keys of a checked batch whose objective requires them.
  var requiredKeys: Matrix {
    guard let keys else { preconditionFailure("the batch was not checked: it has no keys") }
    return keys
  }

  /// The labels of a checked batch whose objective requires them.
  var requiredLabels: [Int] {
    guard let labels else { preconditionFailure("the batch was not checked: it has no labels") }
    return labels
  }
}
