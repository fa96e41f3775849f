import SimilarityCore

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

  /// How many negatives one query has.
  var countPerQuery: Int {
    switch self {
    case .shared(let matrix): matrix.rows
    case .paired(_, let perQuery): perQuery
    }
  }
}

/// One batch as it was given; ``ContrastiveLoss/evaluate(_:_:)`` checks it.
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

/// How a batch is scored.
public struct LossOptions: Sendable {
  public var objective: Objective
  /// τ > 0.
  public var temperature: Float
  /// Divide rows by their Euclidean norm (cosine similarity); gradients go through the division.
  public var normalize = true
  /// Every key is a candidate of every query, not only its own.
  public var inBatchNegatives = true
  /// SigLIP's b.
  public var bias: Float = -10
  public var wantsGradients = false
  public var wantsDiagnostics = false
  /// Threads that share the work; the result's bytes do not depend on it.
  public var threads = 1

  public init(_ objective: Objective, temperature: Float? = nil) {
    self.objective = objective
    self.temperature = temperature ?? objective.defaultTemperature
  }
}
