import SimilarityCore

/// InfoNCE (van den Oord et al. 2018, arXiv 1807.03748, equation 4):
/// ℓᵢ = −z_{i,p(i)} + log Σ_{j∈A(i)} exp z_ij, with z_ij = q̂ᵢ·k̂ⱼ / τ.
///
/// A(i) is every key (`inBatchNegatives`) or the positive alone, plus the negatives.
public struct InfoNCE: Sendable {
  /// τ > 0.
  public var temperature: Float
  /// Divide rows by their Euclidean norm (cosine similarity).
  public var normalize: Bool
  public var inBatchNegatives: Bool

  public init(temperature: Float = 0.07, normalize: Bool = true, inBatchNegatives: Bool = true) {
    self.temperature = temperature
    self.normalize = normalize
    self.inBatchNegatives = inBatchNegatives
  }

  /// The value of one batch.
  public struct Value: Sendable {
    /// The mean of ``perRow``, in nats.
    public let loss: Double
    /// N values, in nats.
    public let perRow: [Float]
    /// The size of the softmax of a row, the positive included.
    public let candidates: Int
  }

  /// Scores `batch`; memory beyond the batch grows with N, not with N·P.
  ///
  /// - Throws: ``ContrastiveError`` for a row that cannot be normalised or whose logits leave the range of f32;
  ///   `ProductFailure` when the matrix library fails.
  public func evaluate(_ batch: ContrastiveBatch, kernels: Kernels = .active) throws -> Value {
    guard temperature > 0, temperature.isFinite else {
      throw ContrastiveError(field: "temperature", reason: "must be a positive number")
    }
    let queries = try ScaledRows(batch.queries, normalize: normalize, field: "queries", kernels: kernels)
    let keys = try ScaledRows(batch.keys, normalize: normalize, field: "keys", kernels: kernels)
    let scales = (0..<batch.queries.rows).map { queries.scale($0) / temperature }

    var (sums, positives) =
      inBatchNegatives
      ? try allKeys(queries, keys, scales, batch.positives, kernels)
      : positiveAlone(queries, keys, scales, batch.positives, kernels)
    if let negatives = batch.negatives, negatives.countPerQuery > 0 {
      try add(negatives, to: &sums, queries, scales, kernels)
    }

    var perRow: [Float] = []
    perRow.reserveCapacity(sums.count)
    var total = 0.0
    for (row, sum) in sums.enumerated() {
      let loss = sum.value - Double(positives[row])
      guard loss.isFinite else {
        throw ContrastiveError(field: "queries", row: row, reason: "its logits are not finite in f32")
      }
      perRow.append(Float(loss))
      total += loss
    }
    let candidates = (inBatchNegatives ? batch.keys.rows : 1) + (batch.negatives?.countPerQuery ?? 0)
    return Value(loss: total / Double(sums.count), perRow: perRow, candidates: candidates)
  }

  /// Every key is a candidate of every query.
  private func allKeys(
    _ queries: ScaledRows, _ keys: ScaledRows, _ scales: [Float], _ positives: [Int], _ kernels: Kernels
  ) throws -> (sums: [LogSumExp], positives: [Float]) {
    var sums = [LogSumExp](repeating: LogSumExp(), count: scales.count)
    var logits = [Float](repeating: 0, count: scales.count)
    try ProductTiles.forEach(left: queries.matrix, right: keys.matrix) { tile in
      for row in tile.rows {
        let products = tile.products(ofRow: row)
        sums[row].extend(by: products, scale: scales[row], columns: tile.columns, of: keys.inverseNorms, kernels)
        let positive = positives[row]
        if tile.columns.contains(positive) {
          // The same f32 operations as in the sum, so that a lone candidate's loss is exactly 0.
          logits[row] = products[positive - tile.columns.lowerBound] * scales[row] * keys.scale(positive)
        }
      }
    }
    return (sums, logits)
  }

  /// The positive is the only key among the candidates.
  private func positiveAlone(
    _ queries: ScaledRows, _ keys: ScaledRows, _ scales: [Float], _ positives: [Int], _ kernels: Kernels
  ) -> (sums: [LogSumExp], positives: [Float]) {
    let logits = positives.enumerated().map { row, key in
      let product = queries.matrix.withRow(row) { query in
        keys.matrix.withRow(key) { kernels.dot(query, $0) }
      }
      return Float(product) * scales[row] * keys.scale(key)
    }
    return (logits.map { LogSumExp($0) }, logits)
  }

  private func add(
    _ negatives: Negatives, to sums: inout [LogSumExp], _ queries: ScaledRows, _ scales: [Float], _ kernels: Kernels
  ) throws {
    let rows = try ScaledRows(negatives.matrix, normalize: normalize, field: "negatives", kernels: kernels)
    switch negatives {
    case .shared:
      try ProductTiles.forEach(left: queries.matrix, right: rows.matrix) { tile in
        for row in tile.rows {
          sums[row].extend(
            by: tile.products(ofRow: row), scale: scales[row], columns: tile.columns, of: rows.inverseNorms, kernels)
        }
      }
    case .paired(_, let perQuery):
      for row in sums.indices {
        let own = row * perQuery..<(row + 1) * perQuery
        let products = queries.matrix.withRow(row) { query in
          own.map { negative in rows.matrix.withRow(negative) { Float(kernels.dot(query, $0)) } }
        }
        products.withUnsafeBufferPointer {
          sums[row].extend(by: $0, scale: scales[row], columns: own, of: rows.inverseNorms, kernels)
        }
      }
    }
  }
}
