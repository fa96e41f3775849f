import SimilarityCore

/// The value of one batch.
public struct LossResult: Sendable {
  /// The mean of ``perRow`` over the rows that count, in nats where the objective is a cross-entropy.
  public var loss: Double
  /// One value a row: N, for `nt_xent` and two-view `supcon` 2N (queries, then keys).
  public var perRow: [Float]
  /// The size of the softmax of a row, the positive included where it is in the sum; the largest where rows differ.
  public var candidates: Int
  /// Rows that have no partner (`supcon`): their value is 0 and the mean is over the others.
  public var excluded: [Int] = []
  public var gradients: LossGradients?
  public var diagnostics: LossDiagnostics?
}

/// Derivatives of ``LossResult/loss`` with respect to the inputs as they were given; nil where it does not depend on one.
public struct LossGradients: Sendable {
  /// N×d.
  public var queries: Matrix
  /// P×d.
  public var keys: Matrix?
  /// In the shape of the negatives' rows.
  public var negatives: Matrix?
  public var temperature: Double?
  public var bias: Double?
}

/// What a batch's similarities say beside the loss; nil where it is not defined for the objective.
public struct LossDiagnostics: Sendable {
  /// Shares of rows whose positive ranks first, and among the first five; a tie counts against the positive.
  public var accuracyTop1: Double?
  public var accuracyTop5: Double?
  public var meanReciprocalRank: Double?
  /// log(candidates) − loss, in nats (van den Oord et al. 2018, section 2.3).
  public var mutualInformationBound: Double?
  /// Mean ‖q̂ᵢ − k̂ᵢ‖² (Wang & Isola 2020, arXiv 2005.10242).
  public var alignment: Double?
  /// log mean_{i<j} exp(−2‖xᵢ − xⱼ‖²), over at most 2,048 evenly spaced rows (the same).
  public var uniformityQueries: Double?
  public var uniformityKeys: Double?
  /// Means of similarities, before τ.
  public var positiveSimilarity: Double?
  public var negativeSimilarity: Double?
  /// Mean over rows of the most similar negative.
  public var hardestNegativeSimilarity: Double?
  /// Mean over rows, in nats, and its exponential.
  public var softmaxEntropy: Double?
  public var perplexity: Double?
  /// Pairs [query, key] off the positive that are more similar than it: at most 100, largest margin first.
  public var likelyFalseNegatives: [[Int]]?

  public init() {}

  /// A figure that is no number is not defined: rows far beyond the usual (not normalised, near the end of f32) have such.
  mutating func keepNumbers() {
    let figures: [WritableKeyPath<LossDiagnostics, Double?>] = [
      \.accuracyTop1, \.accuracyTop5, \.meanReciprocalRank, \.mutualInformationBound, \.alignment, \.uniformityQueries,
      \.uniformityKeys, \.positiveSimilarity, \.negativeSimilarity, \.hardestNegativeSimilarity, \.softmaxEntropy,
      \.perplexity,
    ]
    for figure in figures where self[keyPath: figure]?.isFinite == false { self[keyPath: figure] = nil }
  }
}
