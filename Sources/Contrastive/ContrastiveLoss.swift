import SimilarityCore

/// Contrastive losses with their gradients and diagnostics.
///
/// Similarities are products of the rows as given, times the reciprocals of their norms: no normalised copy is made, and the
/// matrix of all logits is never held.
public enum ContrastiveLoss {
  /// Scores one batch. The same input gives the same bytes for any number of threads.
  ///
  /// Accuracy against f64: 1e-5 + 1e-6/τ, relative above 1 and absolute below, for values and gradients.
  ///
  /// - Throws: ``ContrastiveError`` when the batch is at fault, naming the field, and the row where one is to blame;
  ///   `ProductFailure` when the matrix library fails, which no values cause.
  public static func evaluate(
    _ input: LossInput, _ options: LossOptions, kernels: Kernels = .active
  ) throws -> LossResult {
    try input.check(options)
    let scoring = Scoring(options, kernels)
    var result =
      switch options.objective {
      case .infonce, .moco, .dcl: try scoring.oneWay(input)
      case .symmetric: try scoring.symmetric(input)
      case .ntXent: try scoring.ntXent(input)
      case .supcon: try scoring.supervised(input)
      case .sigmoid: try scoring.pairwiseSigmoid(input)
      case .simsiam, .byol: try scoring.regression(input)
      }
    result.diagnostics?.dropNonFinite()
    return result
  }
}

/// Why a batch cannot be scored. `field` is the name of the input, `row` the row in it where one row is to blame.
public struct ContrastiveError: Error, Sendable, Equatable {
  public let field: String
  public let row: Int?
  public let reason: String

  public init(field: String, row: Int? = nil, reason: String) {
    self.field = field
    self.row = row
    self.reason = reason
  }

  /// `queries[3]`, or the field alone.
  public var parameter: String { row.map { "\(field)[\($0)]" } ?? field }
}

/// A contrastive objective, by its name in the interface.
public enum Objective: String, Sendable, CaseIterable {
  case infonce
  case symmetric
  case ntXent = "nt_xent"
  case dcl
  case supcon
  case sigmoid
  case simsiam
  case byol
  case moco

  /// What an objective may be given beside its queries and `normalize`, by its name in the interface.
  public enum Option: String, Sendable, CaseIterable {
    case keys
    case negatives
    case positives
    case labels
    case temperature
    case inBatchNegatives = "in_batch_negatives"
    case bias
    case queue
  }

  /// The options that change this objective's value; to give another one is an error.
  public var options: Set<Option> {
    switch self {
    case .infonce, .dcl: [.keys, .negatives, .positives, .temperature, .inBatchNegatives, .queue]
    case .moco: [.keys, .negatives, .positives, .temperature, .queue]
    case .symmetric, .ntXent: [.keys, .temperature]
    case .supcon: [.keys, .labels, .temperature]
    case .sigmoid: [.keys, .temperature, .bias]
    case .simsiam, .byol: [.keys]
    }
  }

  /// The options without which it cannot be computed.
  public var requiredOptions: Set<Option> {
    switch self {
    case .supcon: [.labels]
    case .moco: [.keys, .queue]
    default: [.keys]
    }
  }

  /// τ where the caller names none: MoCo's (He et al. 2020), and SigLIP's initial 1/10 (Zhai et al. 2023).
  public var defaultTemperature: Float { self == .sigmoid ? 0.1 : 0.07 }
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

/// The value of one batch.
public struct LossResult: Sendable {
  /// The mean of ``perRow`` over the rows that count, in nats where the objective is a cross-entropy.
  public var loss: Double
  /// One value per row: N, for `nt_xent` and two-view `supcon` 2N (queries, then keys).
  public var perRow: [Float]
  /// The number of terms in the softmax of a row, the positive's included where it is in the sum; the largest number where
  /// rows differ.
  public var candidates: Int
  /// Rows that have no partner (`supcon`): their value is 0, and the mean is over the others.
  public var excluded: [Int] = []
  /// nil unless asked for.
  public var gradients: LossGradients?
  /// nil unless asked for.
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
