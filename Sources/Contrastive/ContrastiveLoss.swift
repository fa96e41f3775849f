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
  /// - Throws: ``ContrastiveError`` naming the field, and the row where one is to blame; `ProductFailure` when the matrix
  ///   library fails.
  public static func evaluate(
    _ input: LossInput, _ options: LossOptions, kernels: Kernels = .active
  ) throws -> LossResult {
    try input.check(options)
    var result = try dispatch(input, options, kernels)
    result.diagnostics?.keepNumbers()
    return result
  }

  private static func dispatch(_ input: LossInput, _ options: LossOptions, _ kernels: Kernels) throws -> LossResult {
    let scoring = Scoring(options, kernels)
    if options.objective == .supcon { return try scoring.supervised(input, input.labels ?? []) }
    guard let keys = input.keys else { throw ContrastiveError(field: "keys", reason: "is required") }
    switch options.objective {
    case .infonce, .moco, .dcl: return try scoring.oneWay(input, keys)
    case .symmetric: return try scoring.symmetric(input, keys)
    case .ntXent: return try scoring.ntXent(input, keys)
    case .sigmoid: return try scoring.pairwiseSigmoid(input, keys)
    case .simsiam, .byol: return try scoring.regression(input, keys)
    case .supcon: return try scoring.supervised(input, input.labels ?? [])
    }
  }
}
