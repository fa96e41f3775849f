import SimilarityCore

/// Contrastive losses with their gradients and diagnostics.
public enum ContrastiveLoss {
  /// Scores one batch.
  ///
  /// - Throws: ``ContrastiveError`` naming the field, and the row where one is to blame; `ProductFailure` when the matrix
  ///   library fails.
  public static func evaluate(_ input: LossInput, _ options: LossOptions) throws -> LossResult {
    guard options.objective == .infonce, let keys = input.keys, input.queue == nil, !options.wantsGradients,
      !options.wantsDiagnostics
    else { throw ContrastiveError(field: "objective", reason: "is not served yet") }
    let batch = try ContrastiveBatch(
      queries: input.queries, keys: keys, negatives: input.negatives, positives: input.positives)
    let value = try InfoNCE(
      temperature: options.temperature, normalize: options.normalize, inBatchNegatives: options.inBatchNegatives
    ).evaluate(batch)
    return LossResult(loss: value.loss, perRow: value.perRow, candidates: value.candidates)
  }
}
