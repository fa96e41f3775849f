import SimilarityCore

/// A pair off the positive that is more similar than it.
struct FalseNegative: Sendable {
  let row: Int
  let column: Int
  /// By how much, in similarity.
  let margin: Float

  /// Largest margin first, then by place: an order without ties.
  static func precedes(_ a: FalseNegative, _ b: FalseNegative) -> Bool {
    if a.margin != b.margin { return a.margin > b.margin }
    return (a.row, a.column) < (b.row, b.column)
  }
}

/// Facts about rows for the diagnostics; one probe serves the rows of one task.
final class RowProbe {
  /// At most this many pairs are reported.
  static let mostPairs = 100

  private(set) var rows = 0
  private(set) var rowsWithNegatives = 0
  private(set) var top1 = 0
  private(set) var top5 = 0
  private(set) var reciprocalRanks = 0.0
  private(set) var positives = 0.0
  private(set) var negatives = 0.0
  private(set) var negativeCount = 0
  private(set) var hardest = 0.0
  private(set) var pairs: [FalseNegative] = []
  /// Columns that are keys of the batch; only they can be false negatives of it.
  private let keyColumns: Int

  /// - Parameter margin: pairs up to this margin are known not to matter.
  init(keyColumns: Int, above margin: Float = 0) {
    self.keyColumns = keyColumns
    least = margin
  }

  /// Looks at the logits of a row before they are overwritten.
  func look(
    at row: Int, _ z: UnsafeBufferPointer<Float>, positive: Int, besides excluded: Int?, _ context: RowContext
  ) {
    let logit = z[positive]
    var others = Kernels.RowStatistics()
    var start = 0
    // The stretches between the columns that do not count.
    for end in [positive, excluded ?? positive, z.count].sorted() where end >= start {
      let stretch = UnsafeBufferPointer(rebasing: z[start..<end])
      others.add(context.kernels.statistics(stretch, threshold: logit))
      start = end + 1
    }
    let temperature = Double(context.temperature)
    let rank = 1 + others.atLeast
    rows += 1
    top1 += rank == 1 ? 1 : 0
    top5 += rank <= 5 ? 1 : 0
    reciprocalRanks += 1 / Double(rank)
    positives += (Double(logit) + context.offset) * temperature
    guard others.count > 0 else { return }
    rowsWithNegatives += 1
    negatives += (others.sum + Double(others.count) * context.offset) * temperature
    negativeCount += others.count
    hardest += (Double(others.largest) + context.offset) * temperature
    if others.largest > logit { collect(row, z, logit, positive, excluded, context) }
  }

  private func collect(
    _ row: Int, _ z: UnsafeBufferPointer<Float>, _ logit: Float, _ positive: Int, _ excluded: Int?,
    _ context: RowContext
  ) {
    let keys = UnsafeBufferPointer(rebasing: z[..<min(keyColumns, z.count)])
    var next = 0
    while let column = context.kernels.firstIndex(above: logit + least / context.temperature, in: keys, from: next) {
      next = column + 1
      guard column != positive, column != excluded else { continue }
      pairs.append(FalseNegative(row: row, column: column, margin: (z[column] - logit) * context.temperature))
      // Sorting now and then keeps the list short without sorting for each pair.
      if pairs.count >= 4 * Self.mostPairs { trim() }
    }
  }

  /// The margin that a pair must exceed to matter: rises once there are enough.
  private(set) var least: Float

  private func trim() {
    pairs.sort(by: FalseNegative.precedes)
    pairs.removeLast(max(0, pairs.count - Self.mostPairs))
    if pairs.count == Self.mostPairs, let last = pairs.last { least = last.margin.nextDown }
  }

  /// Takes over what another probe saw of later rows.
  func add(_ other: RowProbe) {
    rows += other.rows
    rowsWithNegatives += other.rowsWithNegatives
    top1 += other.top1
    top5 += other.top5
    reciprocalRanks += other.reciprocalRanks
    positives += other.positives
    negatives += other.negatives
    negativeCount += other.negativeCount
    hardest += other.hardest
    pairs += other.pairs
    trim()
  }
}
