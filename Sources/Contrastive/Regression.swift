import SimilarityCore

/// `simsiam` and `byol`: predictions q are drawn to targets k behind a stop-gradient, without negatives.
///
///     simsiam: ℓᵢ = −q̂ᵢ·k̂ᵢ           ∂ℓᵢ/∂q̂ᵢ = −k̂ᵢ      (Chen & He 2020, arXiv 2011.10566, equation 1)
///     byol:    ℓᵢ = 2 − 2 q̂ᵢ·k̂ᵢ       ∂ℓᵢ/∂q̂ᵢ = −2 k̂ᵢ    (Grill et al. 2020, arXiv 2006.07733, equation 2)
extension Scoring {
  func regression(_ input: LossInput) throws -> LossResult {
    let queries = try scaled(input.queries, "queries")
    let keys = try scaled(input.requiredKeys, "keys")
    let isBYOL = options.objective == .byol
    // Forward.
    let losses = (0..<queries.count).map { row in
      let product = queries.matrix.withRow(row) { query in keys.matrix.withRow(row) { kernels.dot(query, $0) } }
      let similarity = product * queries.exactFactor(row) * keys.exactFactor(row)
      return isBYOL ? 2 - 2 * similarity : -similarity
    }
    var result = try result(losses, candidates: 1)
    if options.wantsGradients {
      result.gradients = try regressionGradients(queries, keys, factor: isBYOL ? 2 : 1)
    }
    if options.wantsDiagnostics {
      var found = LossDiagnostics()
      found.alignment = alignment(queries, keys, Array(0..<queries.count))
      found.positiveSimilarity = isBYOL ? 1 - result.loss / 2 : -result.loss
      found.uniformityQueries = try uniformity(queries)
      found.uniformityKeys = try uniformity(keys)
      result.diagnostics = found
    }
    return result
  }

  /// Backward: of the queries alone.
  private func regressionGradients(
    _ queries: ScaledRows, _ keys: ScaledRows, factor: Double
  ) throws -> LossGradients {
    var sums: [Float] = []
    sums.reserveCapacity(queries.matrix.values.count)
    for row in 0..<queries.count {
      let scale = -factor * queries.exactFactor(row) * keys.exactFactor(row)
      for value in keys.matrix.row(row) { sums.append(Float(Double(value) * scale)) }
    }
    return LossGradients(
      queries: try gradient(sums, of: queries, scale: 1 / Double(queries.count), field: "queries"))
  }
}
