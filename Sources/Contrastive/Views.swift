import Platform
import SimilarityCore

/// `nt_xent` and `supcon`: queries and keys are two views of the same things, and each of the rows, queries before keys, is
/// compared with all others.
extension Scoring {
  /// SimCLR's loss over the 2N rows (Chen et al. 2020, arXiv 2002.05709, equation 1): a row's positive is its other view,
  /// and the row itself is left out of the softmax.
  func ntXent(_ input: LossInput) throws -> LossResult {
    let keys = input.requiredKeys
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

  /// Supervised contrast (Khosla et al. 2020, arXiv 2004.11362, L_out) over the N rows of one view or the 2N of two, whose
  /// labels are the same.
  func supervised(_ input: LossInput) throws -> LossResult {
    let labels = input.requiredLabels
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
    // Checked apart, so that an error about a row names the field that it came in.
    _ = try scaled(input.queries, "queries")
    if let keys { _ = try scaled(keys, "keys") }
    let all = Matrix(
      input.queries.rows + (keys?.rows ?? 0), input.queries.columns, input.queries.values + (keys?.values ?? []))
    let rows = try scaled(all, "queries")
    let output = try pass(rows, CandidateRows([(rows, true)]), rule: rule, keyColumns: rows.count)
    return (rows, output)
  }

  /// The derivative of each row as anchor plus that as candidate, split into queries and keys; nil unless asked for.
  private func viewGradients(
    _ output: StripOutput, _ rows: ScaledRows, queries: Int, counted: Int
  ) throws -> LossGradients? {
    guard options.wantsGradients else { return nil }
    var sums = output.anchors
    add(output.candidates[0], to: &sums)
    let all = try gradient(sums, of: rows, scale: scale(rows: counted), field: "queries")
    let (width, split) = (all.columns, queries * all.columns)
    return LossGradients(
      queries: Matrix(queries, width, Array(all.values[..<split])),
      keys: all.rows > queries ? Matrix(all.rows - queries, width, Array(all.values[split...])) : nil,
      temperature: temperatureGradient(output.weightedLogits, rows: counted))
  }
}

/// Supervised contrast of one row with the other rows of its class, P(i) (Khosla et al. 2020, arXiv 2004.11362, L_out of
/// equation 2):
///
///     ℓᵢ = −mean_{p∈P(i)} z_p + log Σ_{a≠i} exp z_a
///     ∂ℓᵢ/∂zⱼ = softmax(z)ⱼ − [j ∈ P(i)]/|P(i)|
///
/// ℓᵢ = 0 where P(i) is empty.
struct SupervisedRule: RowRule {
  /// The class of each anchor, and the anchors of each class.
  let classes: [Int]
  let members: [[Int]]

  init(labels: [Int]) {
    var indices: [Int: Int] = [:]
    var classes: [Int] = []
    var members: [[Int]] = []
    for (row, label) in labels.enumerated() {
      let index = indices[label] ?? members.count
      if index == members.count {
        indices[label] = index
        members.append([])
      }
      members[index].append(row)
      classes.append(index)
    }
    self.classes = classes
    self.members = members
  }

  /// Rows without a partner.
  var excluded: [Int] { classes.indices.filter { members[classes[$0]].count < 2 } }

  var ignoresShift: Bool { true }

  func apply(_ row: Int, _ z: UnsafeMutableBufferPointer<Float>, _ context: RowContext) -> RowOutcome {
    let family = members[classes[row]]
    var outcome = RowOutcome()
    guard family.count > 1 else {
      z.update(repeating: 0)
      return outcome
    }
    // Forward.
    let share = 1 / Double(family.count - 1)
    let logit = family.reduce(0) { $1 == row ? $0 : $0 + Double(z[$1]) } * share
    z[row] = Kernels.masked
    let found = context.kernels.exponentiate(z)
    let mean = found.weighted / found.sum
    outcome.loss = Double(found.maximum) + log(found.sum) - logit
    outcome.weightedLogits = Double(found.maximum) - logit + mean
    outcome.entropy = log(found.sum) - mean
    guard context.wantsWeights else { return outcome }
    // Backward.
    context.scaleWeights(z, by: Float(1 / found.sum))
    for partner in family where partner != row { z[partner] -= Float(share) * context.factor(partner) }
    return outcome
  }
}
