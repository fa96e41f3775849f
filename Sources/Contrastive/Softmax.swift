import Platform
import SimilarityCore

/// Cross-entropy of one positive among candidates, the loss of every softmax objective but `supcon`:
///
///     ℓ = −z_p + log Σ_{j∈A} exp zⱼ        zⱼ = sim(q, kⱼ)/τ
///     ∂ℓ/∂zⱼ = softmax_A(z)ⱼ − [j = p]
///
/// p is the column of the anchor's positive and A the set of its candidates:
///
/// | objective | A | source |
/// |---|---|---|
/// | `infonce` | every key, or the positive alone without in-batch negatives; the negatives; the queue | van den Oord et al. 2018, arXiv 1807.03748, equation 4 |
/// | `moco` | the positive, the negatives, the queue | He et al. 2020, arXiv 1911.05722, equation 1 |
/// | `dcl` | as `infonce`, without the positive | Yeh et al. 2022, arXiv 2110.06848, equation 6 |
/// | `symmetric` | every key, and for a key every query | Radford et al. 2021 (CLIP), arXiv 2103.00020, figure 3 |
/// | `nt_xent` | every row of both views but the anchor itself (Views.swift) | Chen et al. 2020, arXiv 2002.05709, equation 1 |
///
/// ``ForwardPass`` is the same forward pass where no logits are kept.
struct SoftmaxRule: RowRule {
  /// For each anchor the column of its positive.
  let positives: [Int]
  /// Column i is anchor i itself, which is left out of A.
  var excludesSelf = false
  /// The positive is left out of A.
  var dropsPositive = false

  var ignoresShift: Bool { true }

  func apply(_ row: Int, _ z: UnsafeMutableBufferPointer<Float>, _ context: RowContext) -> RowOutcome {
    let positive = positives[row]
    let logit = Double(z[positive])
    context.probe?.look(at: row, UnsafeBufferPointer(z), positive: positive, besides: excludesSelf ? row : nil, context)
    if excludesSelf { z[row] = Kernels.masked }
    if dropsPositive { z[positive] = Kernels.masked }
    // Forward.
    let found = context.kernels.exponentiate(z)
    var outcome = RowOutcome()
    let mean = found.weighted / found.sum
    outcome.loss = Double(found.maximum) + log(found.sum) - logit
    outcome.weightedLogits = Double(found.maximum) - logit + mean
    outcome.entropy = log(found.sum) - mean
    guard context.wantsWeights else { return outcome }
    // Backward. softmax_p − 1 is taken as a difference of the forward sums, so that a row's weights sum to 0.
    let weight = (dropsPositive ? -found.sum : Double(z[positive]) - found.sum) / found.sum
    context.scaleWeights(z, by: Float(1 / found.sum))
    z[positive] = Float(weight) * context.factor(positive)
    return outcome
  }
}

extension Scoring {
  /// `infonce`, `moco`, `dcl`: each query against its key and its negatives, one way.
  func oneWay(_ input: LossInput) throws -> LossResult {
    let keys = input.requiredKeys
    let pairing = try input.pairing(keys: keys.rows)
    let batch = try OneWayBatch(
      queries: scaled(input.queries, "queries"), keys: scaled(keys, "keys"),
      queue: input.queue.map { try scaled($0, "queue") },
      negatives: input.negatives.map { try scaled($0.matrix, "negatives") },
      negativesPerQuery: input.negatives?.perQuery, pairing: pairing,
      inBatch: options.objective != .moco && options.inBatchNegatives)
    let dropsPositive = options.objective == .dcl
    let count = batch.candidates.count + batch.own.countPerRow - (dropsPositive ? 1 : 0)
    guard count > 0 else { throw ContrastiveError(field: "negatives", reason: "dcl needs at least one negative") }
    let rule = SoftmaxRule(positives: batch.positives, dropsPositive: dropsPositive)
    var output = try pass(
      batch.queries, batch.candidates, own: batch.own, rule: rule, keyColumns: batch.inBatch ? keys.rows : 0)
    var result = try result(output.losses, candidates: count)
    if options.wantsGradients { result.gradients = try gradients(of: batch, &output) }
    if options.wantsDiagnostics {
      result.diagnostics = try diagnostics(
        output, result, queries: batch.queries, keys: batch.keys, pairing: pairing, isSoftmax: true,
        hasBound: !dropsPositive)
    }
    return result
  }

  private func gradients(of batch: OneWayBatch, _ output: inout StripOutput) throws -> LossGradients {
    let n = batch.queries.count
    let scale = scale(rows: n)
    // Shared negatives are the block after the keys'. Empty blocks are skipped.
    let negativeSums =
      if batch.own.negatives != nil {
        take(&output.ownNegatives)
      } else if let negatives = batch.negatives, negatives.count > 0 {
        take(&output.candidates[batch.inBatch ? 1 : 0])
      } else {
        [Float]()
      }
    return LossGradients(
      queries: try gradient(take(&output.anchors), of: batch.queries, scale: scale, field: "queries"),
      keys: try gradient(
        batch.inBatch ? take(&output.candidates[0]) : take(&output.ownPositives), of: batch.keys, scale: scale,
        field: "keys"),
      negatives: try batch.negatives.map { try gradient(negativeSums, of: $0, scale: scale, field: "negatives") },
      temperature: temperatureGradient(output.weightedLogits, rows: n))
  }

  /// `symmetric`: half of row i's cross-entropy plus half of column i's.
  func symmetric(_ input: LossInput) throws -> LossResult {
    let queries = try scaled(input.queries, "queries")
    let keys = try scaled(input.requiredKeys, "keys")
    let n = queries.count
    let rule = SoftmaxRule(positives: Array(0..<n))
    // Forward. A column's cross-entropy is a row's with the sides exchanged.
    var rows = try pass(queries, CandidateRows([(keys, true)]), rule: rule, keyColumns: n)
    var columns = try pass(keys, CandidateRows([(queries, true)]), rule: rule, keyColumns: 0)
    let losses = zip(rows.losses, columns.losses).map { ($0 + $1) / 2 }
    var result = try result(losses, candidates: n)
    if options.wantsGradients {
      // Backward. Each side is anchors in one pass and candidates in the other.
      let scale = scale(rows: n) / 2
      add(take(&columns.candidates[0]), to: &rows.anchors)
      add(take(&columns.anchors), to: &rows.candidates[0])
      result.gradients = LossGradients(
        queries: try gradient(take(&rows.anchors), of: queries, scale: scale, field: "queries"),
        keys: try gradient(take(&rows.candidates[0]), of: keys, scale: scale, field: "keys"),
        temperature: temperatureGradient((rows.weightedLogits + columns.weightedLogits) / 2, rows: n))
    }
    if options.wantsDiagnostics {
      result.diagnostics = try diagnostics(
        rows, result, queries: queries, keys: keys, pairing: Array(0..<n), isSoftmax: true, hasBound: true)
    }
    return result
  }
}

/// Queries and their candidates, one way.
private struct OneWayBatch {
  let queries: ScaledRows
  let keys: ScaledRows
  let negatives: ScaledRows?
  /// Every key is a candidate of every query.
  let inBatch: Bool
  /// What all queries share: the keys in the batch, the shared negatives, the queue.
  let candidates: CandidateRows
  /// What each query has for itself: its positive where keys are not shared, its paired negatives.
  let own: OwnCandidates
  /// For each query the column of its positive.
  let positives: [Int]

  /// - Parameter negativesPerQuery: nil where negatives are shared.
  init(
    queries: ScaledRows, keys: ScaledRows, queue: ScaledRows?, negatives: ScaledRows?, negativesPerQuery: Int?,
    pairing: [Int], inBatch: Bool
  ) {
    var parts: [(rows: ScaledRows, wantsGradient: Bool)] = []
    if inBatch { parts.append((keys, true)) }
    if let negatives, negativesPerQuery == nil { parts.append((negatives, true)) }
    if let queue { parts.append((queue, false)) }
    let candidates = CandidateRows(parts)
    self.queries = queries
    self.keys = keys
    self.negatives = negatives
    self.inBatch = inBatch
    self.candidates = candidates
    own = OwnCandidates(
      positives: inBatch ? nil : (keys, pairing), negatives: negativesPerQuery == nil ? nil : negatives,
      negativesPerRow: negativesPerQuery ?? 0)
    // Without in-batch negatives a query's positive is the first of its own candidates.
    positives = inBatch ? pairing : [Int](repeating: candidates.count, count: pairing.count)
  }
}
