import SimilarityCore

/// `infonce`, `moco`, `dcl`: each query against its key and negatives, one way.
extension Scoring {
  /// A(i): every key (`inBatchNegatives`) or the positive alone, plus the negatives, plus the queue. MoCo (He et al. 2020,
  /// arXiv 1911.05722, equation 1) is the second with a queue; the decoupled loss leaves the positive out of the sum.
  func oneWay(_ input: LossInput, _ keys: Matrix) throws -> LossResult {
    let inBatch = options.objective != .moco && options.inBatchNegatives
    let pairing = try input.pairing(keys: keys.rows)
    let queries = try scaled(input.queries, "queries")
    let keyRows = try scaled(keys, "keys")
    let queue = try input.queue.map { try scaled($0, "queue") }
    let negatives = try input.negatives.map { try scaled($0.matrix, "negatives") }
    let perQuery = input.negatives?.countPerQuery ?? 0
    let isPaired = if case .paired = input.negatives { true } else { false }

    var parts: [(rows: ScaledRows, wantsGradient: Bool)] = []
    if inBatch { parts.append((keyRows, true)) }
    if let negatives, !isPaired { parts.append((negatives, true)) }
    if let queue { parts.append((queue, false)) }
    let candidates = CandidateRows(parts)
    let own = OwnCandidates(
      positives: inBatch ? nil : (keyRows, pairing), negatives: isPaired ? negatives : nil,
      negativesPerRow: isPaired ? perQuery : 0)
    let dropsPositive = options.objective == .dcl
    let count = candidates.count + own.countPerRow - (dropsPositive ? 1 : 0)
    guard count > 0 else { throw ContrastiveError(field: "negatives", reason: "dcl needs at least one negative") }
    // Without in-batch negatives a row's positive is the first of its own candidates.
    let columns = inBatch ? pairing : [Int](repeating: candidates.count, count: pairing.count)
    let rule = SoftmaxRule(positives: columns, dropsPositive: dropsPositive)
    var output = try pass(queries, candidates, own: own, rule: rule, keyColumns: inBatch ? keys.rows : 0)

    var result = try result(output.losses, candidates: count)
    let n = queries.count
    if options.wantsGradients {
      let scale = scale(rows: n)
      // Blocks without rows are none.
      let block = inBatch ? 1 : 0
      let hasShared = !isPaired && (negatives?.count ?? 0) > 0
      let negativeSums =
        isPaired ? take(&output.ownNegatives) : hasShared ? take(&output.candidates[block]) : []
      result.gradients = LossGradients(
        queries: try gradient(take(&output.anchors), of: queries, scale: scale, field: "queries"),
        keys: try gradient(
          inBatch ? take(&output.candidates[0]) : take(&output.ownPositives), of: keyRows, scale: scale, field: "keys"),
        negatives: try negatives.map { rows in
          try gradient(
            negativeSums, of: rows, scale: scale, field: "negatives")
        },
        temperature: temperatureGradient(output.weightedLogits, rows: n))
    }
    if options.wantsDiagnostics {
      let isBound = options.objective != .dcl
      result.diagnostics = try diagnostics(
        output, result, queries: queries, keys: keyRows, pairing: pairing, isSoftmax: true, hasBound: isBound)
    }
    return result
  }

  /// The values, leaving none behind: a gradient's memory is not held twice.
  func take(_ values: inout [Float]) -> [Float] {
    defer { values = [] }
    return values
  }
}
