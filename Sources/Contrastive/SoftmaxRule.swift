import Platform
import SimilarityCore

/// ℓ = −z_p + log Σ_{j∈A} exp zⱼ, and ∂ℓ/∂zⱼ = softmax(z)ⱼ − [j = p].
///
/// InfoNCE (van den Oord et al. 2018, arXiv 1807.03748, equation 4); NT-Xent (Chen et al. 2020, arXiv 2002.05709,
/// equation 1) with the anchor itself left out of A; the decoupled loss (Yeh et al. 2022, arXiv 2110.06848, equation 6)
/// with the positive left out of A.
struct SoftmaxRule: RowRule {
  /// For each anchor the column of its positive.
  let positives: [Int]
  /// Column i is anchor i itself.
  var excludesSelf = false
  var dropsPositive = false

  var ignoresShift: Bool { true }

  func apply(_ row: Int, _ z: UnsafeMutableBufferPointer<Float>, _ context: RowContext) -> RowOutcome {
    let positive = positives[row]
    let logit = Double(z[positive])
    context.probe?.look(at: row, UnsafeBufferPointer(z), positive: positive, besides: excludesSelf ? row : nil, context)
    if excludesSelf { z[row] = Kernels.masked }
    if dropsPositive { z[positive] = Kernels.masked }
    let found = context.kernels.exponentiate(z)
    var outcome = RowOutcome()
    let mean = found.weighted / found.sum
    outcome.loss = Double(found.maximum) + log(found.sum) - logit
    outcome.weightedLogits = Double(found.maximum) - logit + mean
    outcome.entropy = log(found.sum) - mean
    guard context.wantsWeights else { return outcome }
    // p − 1 as a difference of the sums that were taken, so that a row's weights sum to 0.
    let weight = (dropsPositive ? -found.sum : Double(z[positive]) - found.sum) / found.sum
    context.finish(z, factor: Float(1 / found.sum))
    z[positive] = Float(weight) * context.factor(positive)
    return outcome
  }
}
