import SimilarityCore

/// ℓᵢ = −Σⱼ log σ(y_ij (z_ij + b)), y = 1 for j = i and −1 elsewhere (SigLIP; Zhai et al. 2023, arXiv 2303.15343,
/// section 3.2); ∂ℓᵢ/∂zⱼ = σ(z_ij + b) − [j = i].
struct SigmoidRule: RowRule {
  let bias: Float

  /// The bias is compared with the logits themselves.
  var ignoresShift: Bool { false }

  func apply(_ row: Int, _ z: UnsafeMutableBufferPointer<Float>, _ context: RowContext) -> RowOutcome {
    context.probe?.look(at: row, UnsafeBufferPointer(z), positive: row, besides: nil, context)
    let logit = Double(z[row])
    let found = context.kernels.sigmoid(z, bias: bias)
    var outcome = RowOutcome()
    // −log σ(x) = log(1 + exp x) − x: the positive's term differs from the others' by its own x.
    outcome.loss = found.loss - (logit + Double(bias))
    outcome.weightedLogits = found.weighted - logit
    outcome.weights = found.sum - 1
    guard context.wantsWeights else { return outcome }
    z[row] -= 1
    context.finish(z, factor: 1)
    return outcome
  }
}
