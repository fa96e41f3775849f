import Platform
import SimilarityCore

/// What a batch's similarities say beside the loss; nil where it is not defined for the objective.
public struct LossDiagnostics: Sendable {
  /// Shares of rows whose positive ranks first, and among the first five; a tie counts against the positive.
  public var accuracyTop1: Double?
  public var accuracyTop5: Double?
  public var meanReciprocalRank: Double?
  /// log(candidates) − loss, in nats (van den Oord et al. 2018, arXiv 1807.03748, section 2.3).
  public var mutualInformationBound: Double?
  /// Mean ‖q̂ᵢ − k̂ᵢ‖² (Wang & Isola 2020, arXiv 2005.10242).
  public var alignment: Double?
  /// log mean_{i<j} exp(−2‖xᵢ − xⱼ‖²), over at most 2,048 evenly spaced rows (the same paper).
  public var uniformityQueries: Double?
  public var uniformityKeys: Double?
  /// Means of similarities, before τ.
  public var positiveSimilarity: Double?
  public var negativeSimilarity: Double?
  /// Mean over rows of the most similar negative.
  public var hardestNegativeSimilarity: Double?
  /// Mean over rows, in nats.
  public var softmaxEntropy: Double?
  /// exp(``softmaxEntropy``).
  public var perplexity: Double?
  /// Pairs [query, key] off the positive that are more similar than it: at most 100, largest margin first.
  public var likelyFalseNegatives: [[Int]]?

  public init() {}

  /// Non-finite diagnostics are left out: rows that are not normalised and near the end of the range of f32 have such.
  mutating func dropNonFinite() {
    let figures: [WritableKeyPath<LossDiagnostics, Double?>] = [
      \.accuracyTop1, \.accuracyTop5, \.meanReciprocalRank, \.mutualInformationBound, \.alignment, \.uniformityQueries,
      \.uniformityKeys, \.positiveSimilarity, \.negativeSimilarity, \.hardestNegativeSimilarity, \.softmaxEntropy,
      \.perplexity,
    ]
    for figure in figures where self[keyPath: figure]?.isFinite == false { self[keyPath: figure] = nil }
  }
}

extension Scoring {
  /// The diagnostics of a pass.
  ///
  /// - Parameters:
  ///   - pairing: for each query the key that belongs to it; empty where there are no pairs.
  ///   - isSoftmax: rows have a softmax, and so an entropy.
  ///   - hasBound: the loss bounds the mutual information.
  ///   - counted: rows that have a softmax; all of them when nil.
  func diagnostics(
    _ output: StripOutput, _ result: LossResult, queries: ScaledRows, keys: ScaledRows?, pairing: [Int],
    isSoftmax: Bool, hasBound: Bool, counted: Int? = nil
  ) throws(ProductFailure) -> LossDiagnostics {
    var found = LossDiagnostics()
    if let probe = output.probe, probe.rows > 0 { probe.describe(to: &found) }
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

  /// The number of rows that uniformity looks at, at most.
  private static var mostUniformityRows: Int { 2048 }

  /// log mean_{i<j} exp(−2‖xᵢ − xⱼ‖²) over at most 2,048 evenly spaced rows (Wang & Isola 2020, arXiv 2005.10242, with
  /// t = 2); nil for a single row.
  ///
  /// −2‖x − y‖² = 4·x·y − 2‖x‖² − 2‖y‖², so the sum is a log-sum-exp over products, tile by tile.
  func uniformity(_ rows: ScaledRows) throws(ProductFailure) -> Double? {
    let sample = Self.sample(rows)
    let count = sample.rows
    guard count > 1 else { return nil }
    let isUnit = rows.factors != nil
    let halfSquares = sample.norms(kernels: kernels).map { Float($0 * $0 / 2) }
    let blockRows = 128
    var sums = [LogSumExp](repeating: LogSumExp(), count: count)
    try sums.withUnsafeMutableBufferPointer { sums throws(ProductFailure) in
      try sample.withBaseAddress { start throws(ProductFailure) in
        try loop.forEachPiece((count + blockRows - 1) / blockRows) { block throws(ProductFailure) in
          let top = block * blockRows
          let height = min(blockRows, count - top)
          // Only pairs i < j: columns from this block on.
          for left in stride(from: top, to: count, by: CandidateRows.columnsPerTile) {
            let width = min(CandidateRows.columnsPerTile, count - left)
            let products = FloatBuffer(height * width)
            // SAFETY: both stretches lie in the sample.
            try Product.ofRows(
              start + top * sample.columns, rows: height, start + left * sample.columns, columns: width,
              inner: sample.columns, into: products.start, stride: width)
            for index in 0..<height {
              let first = max(0, top + index + 1 - left)
              guard first < width else { continue }
              let part = products[index * width + first..<(index + 1) * width]
              // Of unit rows every square is 1: −2‖x − y‖² = 4·x·y − 4.
              if !isUnit {
                for offset in part.indices {
                  part[offset] -= halfSquares[left + first + offset] + halfSquares[top + index]
                }
              }
              sums[top + index].extend(
                by: UnsafeBufferPointer(part), scale: 4, columns: 0..<part.count, of: nil, kernels)
            }
          }
        }
      }
    }
    let logs = sums.dropLast().map { $0.value - (isUnit ? 4 : 0) }
    let largest = logs.max() ?? 0
    let total = logs.reduce(0) { $0 + exp($1 - largest) }
    return largest + log(total) - log(Double(count) * Double(count - 1) / 2)
  }

  /// Evenly spaced rows, after normalisation.
  private static func sample(_ rows: ScaledRows) -> Matrix {
    let count = min(rows.count, mostUniformityRows)
    var values: [Float] = []
    values.reserveCapacity(count * rows.matrix.columns)
    for index in 0..<count {
      let row = count == rows.count ? index : index * (rows.count - 1) / (count - 1)
      let factor = rows.factor(row)
      for value in rows.matrix.row(row) { values.append(value * factor) }
    }
    return Matrix(count, rows.matrix.columns, values)
  }
}

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

/// Ranks and similarities of rows for the diagnostics, summed over the rows of one piece of work.
final class RowProbe {
  /// At most this many pairs are reported.
  static let mostPairs = 100

  private(set) var rows = 0
  private var rowsWithNegatives = 0
  private var top1 = 0
  private var top5 = 0
  private var reciprocalRanks = 0.0
  private var positives = 0.0
  private var negatives = 0.0
  private var negativeCount = 0
  private var hardest = 0.0
  private var pairs: [FalseNegative] = []
  /// The margin that a pair must exceed to be reported: it rises once there are ``mostPairs`` pairs.
  private(set) var least: Float
  /// How many leading columns are keys of the batch; only they can be false negatives of it.
  private let keyColumns: Int

  /// - Parameter margin: pairs up to this margin are known not to be reported.
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

  private func trim() {
    pairs.sort(by: FalseNegative.precedes)
    pairs.removeLast(max(0, pairs.count - Self.mostPairs))
    if pairs.count == Self.mostPairs, let last = pairs.last { least = last.margin.nextDown }
  }

  /// Adds what another probe saw of later rows.
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

  /// The sums as means over rows, of which there must be one.
  func describe(to found: inout LossDiagnostics) {
    let rows = Double(rows)
    found.accuracyTop1 = Double(top1) / rows
    found.accuracyTop5 = Double(top5) / rows
    found.meanReciprocalRank = reciprocalRanks / rows
    found.positiveSimilarity = positives / rows
    if negativeCount > 0 {
      found.negativeSimilarity = negatives / Double(negativeCount)
      found.hardestNegativeSimilarity = hardest / Double(rowsWithNegatives)
    }
    found.likelyFalseNegatives = pairs.map { [$0.row, $0.column] }
  }
}
