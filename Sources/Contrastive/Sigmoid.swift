import SimilarityCore

/// `sigmoid`: every pair of a query and a key is a yes-or-no question of its own (SigLIP; Zhai et al. 2023,
/// arXiv 2303.15343, section 3.2), without a softmax over candidates:
///
///     ℓᵢ = −Σⱼ log σ(y_ij·(z_ij + b))        y_ij = 1 for j = i, −1 elsewhere
///     ∂ℓᵢ/∂z_ij = σ(z_ij + b) − [j = i]
///
/// and ∂ℓᵢ/∂b is the sum of the latter over j.
struct SigmoidRule: RowRule {
  let bias: Float

  /// The bias is compared with the logits themselves.
  var ignoresShift: Bool { false }

  func apply(_ row: Int, _ z: UnsafeMutableBufferPointer<Float>, _ context: RowContext) -> RowOutcome {
    context.probe?.look(at: row, UnsafeBufferPointer(z), positive: row, besides: nil, context)
    // Forward.
    let logit = Double(z[row])
    let found = context.kernels.sigmoid(z, bias: bias)
    var outcome = RowOutcome()
    // −log σ(x) = log(1 + exp x) − x: the positive's term differs from the others' by its own x.
    outcome.loss = found.loss - (logit + Double(bias))
    outcome.weightedLogits = found.weighted - logit
    outcome.weights = found.sum - 1
    guard context.wantsWeights else { return outcome }
    // Backward.
    z[row] -= 1
    context.scaleWeights(z, by: 1)
    return outcome
  }
}

extension Scoring {
  func pairwiseSigmoid(_ input: LossInput) throws -> LossResult {
    let queries = try scaled(input.queries, "queries")
    let keys = try scaled(input.requiredKeys, "keys")
    let n = queries.count
    var output = try pass(
      queries, CandidateRows([(keys, true)]), rule: SigmoidRule(bias: options.bias), keyColumns: n)
    var result = try result(output.losses, candidates: n)
    if options.wantsGradients {
      let scale = scale(rows: n)
      result.gradients = LossGradients(
        queries: try gradient(take(&output.anchors), of: queries, scale: scale, field: "queries"),
        keys: try gradient(take(&output.candidates[0]), of: keys, scale: scale, field: "keys"),
        temperature: temperatureGradient(output.weightedLogits, rows: n), bias: output.weights / Double(n))
    }
    if options.wantsDiagnostics {
      result.diagnostics = try diagnostics(
        output, result, queries: queries, keys: keys, pairing: Array(0..<n), isSoftmax: false, hasBound: false)
    }
    return result
  }
}
