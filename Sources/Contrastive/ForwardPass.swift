import SimilarityCore

/// The losses of a softmax objective without gradients: each tile of products is folded into its rows' log-sum-exp while it
/// is in cache, and no logit is kept (Milakov & Gimelshein 2018, arXiv 1805.02867).
struct ForwardPass {
  /// Anchors of one piece of work. Packed keys are read once for each piece, so large pieces suit many anchors; of few
  /// anchors there must be enough pieces for every thread.
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
  func run() throws(ProductFailure) -> [Double] {
    var losses = [Double](repeating: 0, count: anchors.count)
    let packed = try candidates.packed(
      forRows: rowsPerPiece, of: anchors.count, stride: nil, tiesMatter: false, loop)
    let pieces = (anchors.count + rowsPerPiece - 1) / rowsPerPiece
    try losses.withUnsafeMutableBufferPointer { losses throws(ProductFailure) in
      try loop.forEachPiece(pieces) { piece throws(ProductFailure) in
        let rows = piece * rowsPerPiece..<min((piece + 1) * rowsPerPiece, anchors.count)
        var sums = [LogSumExp](repeating: LogSumExp(), count: rows.count)
        var positives = [Float](repeating: 0, count: rows.count)
        try addShared(rows, packed, &sums, &positives)
        for row in rows {
          addOwn(row, &sums[row - rows.lowerBound], &positives[row - rows.lowerBound])
          losses[row] = sums[row - rows.lowerBound].value - Double(positives[row - rows.lowerBound])
        }
      }
    }
    return losses
  }

  /// Candidates that all anchors share.
  private func addShared(
    _ rows: Range<Int>, _ packed: [PackedRows?], _ sums: inout [LogSumExp], _ positives: inout [Float]
  ) throws(ProductFailure) {
    let width = anchors.matrix.columns
    let products = FloatBuffer(rows.count * CandidateRows.columnsPerTile)
    for tile in candidates.tiles {
      try anchors.matrix.withBaseAddress { queries throws(ProductFailure) in
        // SAFETY: the rows lie in the anchors.
        try candidates.products(
          tile, packed, queries + rows.lowerBound * width, rows: rows.count, into: products.start, stride: tile.count)
      }
      for row in rows {
        let index = row - rows.lowerBound
        fold(products[index * tile.count..<(index + 1) * tile.count], tile, row, &sums[index], &positives[index])
      }
    }
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
