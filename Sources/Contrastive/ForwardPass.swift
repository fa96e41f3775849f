import SimilarityCore

/// The losses of a softmax objective alone: each tile of products is folded into its rows' log-sum-exp while it is in cache,
/// and no logit is kept (arXiv 1805.02867).
struct ForwardPass {
  /// Anchors of one piece of work. Packed keys are read once for each piece, so many anchors take large ones; few are to keep
  /// every thread busy.
  private var rowsPerPiece: Int {
    switch anchors.count {
    case 8192...: 512
    case 4096...: 256
    default: 128
    }
  }

  let anchors: ScaledRows
  let candidates: CandidateRows
  let own: OwnCandidates
  let temperature: Float
  let rule: SoftmaxRule
  let kernels: Kernels
  let loop: ParallelLoop

  /// ℓᵢ of each anchor.
  ///
  /// - Throws: `ProductFailure` when the matrix library fails.
  func run() throws -> [Double] {
    var losses = [Double](repeating: 0, count: anchors.count)
    let packed = candidates.packed(forRows: rowsPerPiece, of: anchors.count, stride: nil, loop)
    let pieces = (anchors.count + rowsPerPiece - 1) / rowsPerPiece
    try losses.withUnsafeMutableBufferPointer { losses in
      try loop.forEach(pieces) { piece in
        let rows = piece * rowsPerPiece..<min((piece + 1) * rowsPerPiece, anchors.count)
        var sums = [LogSumExp](repeating: LogSumExp(), count: rows.count)
        var positives = [Float](repeating: 0, count: rows.count)
        guard addShared(rows, packed, &sums, &positives) else { return false }
        for row in rows {
          addOwn(row, &sums[row - rows.lowerBound], &positives[row - rows.lowerBound])
          losses[row] = sums[row - rows.lowerBound].value - Double(positives[row - rows.lowerBound])
        }
        return true
      }
    }
    return losses
  }

  /// Candidates that all anchors share.
  private func addShared(
    _ rows: Range<Int>, _ packed: [PackedRows?], _ sums: inout [LogSumExp], _ positives: inout [Float]
  ) -> Bool {
    let width = anchors.matrix.columns
    let products = FloatBuffer(rows.count * CandidateRows.columnsPerTile)
    for tile in candidates.tiles {
      let isDone = anchors.matrix.values.withUnsafeBufferPointer { queries in
        // SAFETY: the rows lie in the anchors.
        guard let query = queries.baseAddress else { return false }
        return candidates.products(
          tile, packed, query + rows.lowerBound * width, rows: rows.count, into: products.start, stride: tile.count)
      }
      guard isDone else { return false }
      for row in rows {
        let index = row - rows.lowerBound
        fold(products[index * tile.count..<(index + 1) * tile.count], tile, row, &sums[index], &positives[index])
      }
    }
    return true
  }

  private func fold(
    _ products: UnsafeMutableBufferPointer<Float>, _ tile: CandidateRows.Tile, _ row: Int, _ sum: inout LogSumExp,
    _ positive: inout Float
  ) {
    let scale = anchors.factor(row) / temperature
    let columns = tile.start..<tile.start + tile.count
    let column = rule.positives[row]
    if columns.contains(column) {
      let index = column - tile.start
      // The same f32 operations as in the sum, so that a lone candidate's loss is exactly 0.
      positive = products[index] * scale * (candidates.factors?[column] ?? 1)
      if rule.dropsPositive { products[index] = Kernels.masked }
    }
    if rule.excludesSelf, columns.contains(row) { products[row - tile.start] = Kernels.masked }
    sum.extend(by: UnsafeBufferPointer(products), scale: scale, columns: columns, of: candidates.factors, kernels)
  }

  /// Candidates of one anchor alone.
  private func addOwn(_ row: Int, _ sum: inout LogSumExp, _ positive: inout Float) {
    for (offset, candidate) in own.rows(of: row).enumerated() {
      let product = anchors.matrix.withRow(row) { query in
        candidate.rows.matrix.withRow(candidate.index) { kernels.dot(query, $0) }
      }
      let logit = Float(product) * (anchors.factor(row) / temperature) * candidate.rows.factor(candidate.index)
      if candidates.count + offset == rule.positives[row] {
        positive = logit
        if rule.dropsPositive { continue }
      }
      withUnsafePointer(to: logit) {
        sum.extend(by: UnsafeBufferPointer(start: $0, count: 1), scale: 1, columns: 0..<1, of: nil, kernels)
      }
    }
  }
}
