import SimilarityCore

/// `nt_xent` and `supcon`: queries and keys are two views of the same things, and each row is compared with all others.
extension Scoring {
  /// SimCLR's loss (Chen et al. 2020, arXiv 2002.05709, equation 1) over the 2N rows of queries, then keys.
  func ntXent(_ input: LossInput, _ keys: Matrix) throws -> LossResult {
    let n = input.queries.rows
    let rule = SoftmaxRule(positives: (0..<2 * n).map { ($0 + n) % (2 * n) }, excludesSelf: true)
    let (rows, output) = try views(input, keys, rule)
    var result = try result(output.losses, candidates: 2 * n - 1)
    result.gradients = try viewGradients(output, rows, queries: n, counted: 2 * n)
    if options.wantsDiagnostics {
      result.diagnostics = try diagnostics(
        output, result, queries: try scaled(input.queries, "queries"), keys: try scaled(keys, "keys"),
        pairing: Array(0..<n), isSoftmax: true, hasBound: false)
    }
    return result
  }

  /// Supervised contrast (Khosla et al. 2020, arXiv 2004.11362, L_out) over queries, then keys if given, labels repeated.
  func supervised(_ input: LossInput, _ labels: [Int]) throws -> LossResult {
    let rule = SupervisedRule(labels: input.keys == nil ? labels : labels + labels)
    let excluded = rule.excluded
    let count = rule.classes.count
    guard excluded.count < count else {
      throw ContrastiveError(field: "labels", reason: "no row has a partner with the same label")
    }
    let (rows, output) = try views(input, input.keys, rule)
    var result = try result(output.losses, candidates: count - 1, counted: count - excluded.count)
    result.excluded = excluded
    result.gradients = try viewGradients(
      output, rows, queries: input.queries.rows, counted: count - excluded.count)
    if options.wantsDiagnostics {
      let keys = try input.keys.map { try scaled($0, "keys") }
      result.diagnostics = try diagnostics(
        output, result, queries: try scaled(input.queries, "queries"), keys: keys,
        pairing: keys == nil ? [] : Array(0..<input.queries.rows), isSoftmax: true, hasBound: false,
        counted: count - excluded.count)
    }
    return result
  }

  /// A pass of all rows against all rows.
  private func views(
    _ input: LossInput, _ keys: Matrix?, _ rule: any RowRule
  ) throws -> (rows: ScaledRows, output: StripOutput) {
    // Checked apart, so that a row at fault is named by the field it came in.
    _ = try scaled(input.queries, "queries")
    if let keys { _ = try scaled(keys, "keys") }
    let values = input.queries.values + (keys?.values ?? [])
    let count = input.queries.rows + (keys?.rows ?? 0)
    guard let all = Matrix(rows: count, columns: input.queries.columns, values: values) else { throw ProductFailure() }
    let rows = try scaled(all, "queries")
    let output = try pass(rows, CandidateRows([(rows, true)]), rule: rule, keyColumns: count)
    return (rows, output)
  }

  /// A row's derivative as anchor and as candidate together, split into queries and keys.
  private func viewGradients(
    _ output: StripOutput, _ rows: ScaledRows, queries: Int, counted: Int
  ) throws -> LossGradients? {
    guard options.wantsGradients else { return nil }
    var sums = output.anchors
    add(output.candidates[0], to: &sums)
    let all = try gradient(sums, of: rows, scale: scale(rows: counted), field: "queries")
    let width = all.columns
    let split = queries * width
    guard let first = Matrix(rows: queries, columns: width, values: Array(all.values[..<split])) else {
      throw ProductFailure()
    }
    let keys =
      all.rows > queries
      ? Matrix(rows: all.rows - queries, columns: width, values: Array(all.values[split...])) : nil
    return LossGradients(
      queries: first, keys: keys, temperature: temperatureGradient(output.weightedLogits, rows: counted))
  }
}
