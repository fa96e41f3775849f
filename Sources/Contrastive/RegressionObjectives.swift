import SimilarityCore

/// `simsiam` and `byol`: predictions are drawn to targets behind a stop-gradient, without negatives.
extension Scoring {
  /// ℓᵢ = −q̂ᵢ·k̂ᵢ (SimSiam; Chen & He 2020, arXiv 2011.10566, equation 1), or 2 − 2 q̂ᵢ·k̂ᵢ (BYOL; Grill et al. 2020,
  /// arXiv 2006.07733, equation 2); ∂ℓᵢ/∂q̂ᵢ = −k̂ᵢ, or twice that.
  func regression(_ input: LossInput, _ keys: Matrix) throws -> LossResult {
    let queries = try scaled(input.queries, "queries")
    let keyRows = try scaled(keys, "keys")
    let n = queries.count
    let isBYOL = options.objective == .byol
    let factor = isBYOL ? 2.0 : 1.0
    let losses = (0..<n).map { row in
      let product = queries.matrix.withRow(row) { query in keyRows.matrix.withRow(row) { kernels.dot(query, $0) } }
      let similarity = product * queries.exactFactor(row) * keyRows.exactFactor(row)
      return isBYOL ? 2 - 2 * similarity : -similarity
    }
    var result = try result(losses, candidates: 1)
    if options.wantsGradients {
      var sums: [Float] = []
      sums.reserveCapacity(queries.matrix.values.count)
      for row in 0..<n {
        let scale = -factor * queries.exactFactor(row) * keyRows.exactFactor(row)
        for value in keyRows.matrix.row(row) { sums.append(Float(Double(value) * scale)) }
      }
      result.gradients = LossGradients(
        queries: try gradient(sums, of: queries, scale: 1 / Double(n), field: "queries"))
    }
    if options.wantsDiagnostics {
      var found = LossDiagnostics()
      found.alignment = alignment(queries, keyRows, Array(0..<n))
      let offset = isBYOL ? 1 - result.loss / 2 : -result.loss
      found.positiveSimilarity = offset
      found.uniformityQueries = try uniformity(queries)
      found.uniformityKeys = try uniformity(keyRows)
      result.diagnostics = found
    }
    return result
  }
}
