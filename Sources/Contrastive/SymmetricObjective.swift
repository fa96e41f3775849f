import SimilarityCore

/// `symmetric`: half of row i's cross-entropy plus half of column i's (CLIP; Radford et al. 2021, arXiv 2103.00020, figure 3).
extension Scoring {
  func symmetric(_ input: LossInput, _ keys: Matrix) throws -> LossResult {
    let queries = try scaled(input.queries, "queries")
    let keyRows = try scaled(keys, "keys")
    let n = queries.count
    let rule = SoftmaxRule(positives: Array(0..<n))
    // A column's cross-entropy is a row's with the sides exchanged.
    var rows = try pass(queries, CandidateRows([(keyRows, true)]), rule: rule, keyColumns: n)
    var columns = try pass(keyRows, CandidateRows([(queries, true)]), rule: rule, keyColumns: 0)
    let losses = zip(rows.losses, columns.losses).map { ($0 + $1) / 2 }
    var result = try result(losses, candidates: n)
    if options.wantsGradients {
      let scale = scale(rows: n) / 2
      add(take(&columns.candidates[0]), to: &rows.anchors)
      add(take(&columns.anchors), to: &rows.candidates[0])
      result.gradients = LossGradients(
        queries: try gradient(take(&rows.anchors), of: queries, scale: scale, field: "queries"),
        keys: try gradient(take(&rows.candidates[0]), of: keyRows, scale: scale, field: "keys"),
        temperature: temperatureGradient((rows.weightedLogits + columns.weightedLogits) / 2, rows: n))
    }
    if options.wantsDiagnostics {
      result.diagnostics = try diagnostics(
        rows, result, queries: queries, keys: keyRows, pairing: Array(0..<n), isSoftmax: true, hasBound: true)
    }
    return result
  }

  func add(_ values: [Float], to sums: inout [Float]) {
    for index in sums.indices where index < values.count { sums[index] += values[index] }
  }
}
