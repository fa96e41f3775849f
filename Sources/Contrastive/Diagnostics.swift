import Platform
import SimilarityCore

/// What a pass saw, as the figures of ``LossDiagnostics``.
extension Scoring {
  /// - Parameters:
  ///   - pairing: for each query the key that belongs to it; empty where there are no pairs.
  ///   - isSoftmax: rows have a softmax, and so an entropy.
  ///   - hasBound: the loss bounds the mutual information.
  ///   - counted: rows that have a softmax.
  func diagnostics(
    _ output: StripOutput, _ result: LossResult, queries: ScaledRows, keys: ScaledRows?, pairing: [Int],
    isSoftmax: Bool, hasBound: Bool, counted: Int? = nil
  ) throws -> LossDiagnostics {
    var found = LossDiagnostics()
    if let probe = output.probe, probe.rows > 0 { describe(probe, &found) }
    if hasBound { found.mutualInformationBound = log(Double(result.candidates)) - result.loss }
    if isSoftmax {
      let entropy = max(0, output.entropy / Double(counted ?? output.losses.count))
      found.softmaxEntropy = entropy
      found.perplexity = exp(entropy)
    }
    if let keys, !pairing.isEmpty { found.alignment = alignment(queries, keys, pairing) }
    found.uniformityQueries = try uniformity(queries)
    if let keys { found.uniformityKeys = try uniformity(keys) }
    return found
  }

  private func describe(_ probe: RowProbe, _ found: inout LossDiagnostics) {
    let rows = Double(probe.rows)
    found.accuracyTop1 = Double(probe.top1) / rows
    found.accuracyTop5 = Double(probe.top5) / rows
    found.meanReciprocalRank = probe.reciprocalRanks / rows
    found.positiveSimilarity = probe.positives / rows
    if probe.negativeCount > 0 {
      found.negativeSimilarity = probe.negatives / Double(probe.negativeCount)
      found.hardestNegativeSimilarity = probe.hardest / Double(probe.rowsWithNegatives)
    }
    found.likelyFalseNegatives = probe.pairs.map { [$0.row, $0.column] }
  }

  /// Mean ‖q̂ᵢ − k̂_{p(i)}‖² (Wang & Isola 2020, arXiv 2005.10242, with α = 2).
  func alignment(_ queries: ScaledRows, _ keys: ScaledRows, _ pairing: [Int]) -> Double {
    var total = 0.0
    for (row, key) in pairing.enumerated() {
      let s = queries.exactFactor(row)
      let t = keys.exactFactor(key)
      total += zip(queries.matrix.row(row), keys.matrix.row(key)).reduce(0) { sum, pair in
        let difference = Double(pair.0) * s - Double(pair.1) * t
        return sum + difference * difference
      }
    }
    return total / Double(pairing.count)
  }
}
