import SimilarityCore

/// `sigmoid`: every pair is a yes-or-no question of its own (SigLIP; Zhai et al. 2023, arXiv 2303.15343).
extension Scoring {
  func pairwiseSigmoid(_ input: LossInput, _ keys: Matrix) throws -> LossResult {
    let queries = try scaled(input.queries, "queries")
    let keyRows = try scaled(keys, "keys")
    let n = queries.count
    var output = try pass(
      queries, CandidateRows([(keyRows, true)]), rule: SigmoidRule(bias: options.bias), keyColumns: n)
    var result = try result(output.losses, candidates: n)
    if options.wantsGradients {
      let scale = scale(rows: n)
      result.gradients = LossGradients(
        queries: try gradient(take(&output.anchors), of: queries, scale: scale, field: "queries"),
        keys: try gradient(take(&output.candidates[0]), of: keyRows, scale: scale, field: "keys"),
        temperature: temperatureGradient(output.weightedLogits, rows: n), bias: output.weights / Double(n))
    }
    if options.wantsDiagnostics {
      result.diagnostics = try diagnostics(
        output, result, queries: queries, keys: keyRows, pairing: Array(0..<n), isSoftmax: false, hasBound: false)
    }
    return result
  }
}
