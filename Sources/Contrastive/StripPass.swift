import SimilarityCore

/// One pass over the logits of all anchors, strip by strip: n × C of them are never held, only some hundred rows.
///
/// Each strip goes through three steps, each shared by all threads: products column tile by column tile; the objective's
/// rule row by row, which turns logits into weights; and the products of the weights with both sides, which are the
/// gradients (the idea of Inf-CL, arXiv 2410.17243, and of FlashAttention; a strip is kept between forward and backward
/// instead of being computed twice). Every number is summed in an order that does not depend on the threads.
struct StripPass {
  /// Most logits of one strip: 16 MiB.
  static let mostLogits = 1 << 22
  /// Rows of one piece of work.
  private static let rowsPerRule = 16

  let anchors: ScaledRows
  let candidates: CandidateRows
  let own: OwnCandidates
  let temperature: Float
  let rule: any RowRule
  let wantsGradients: Bool
  /// Columns that are the batch's keys; nil when no facts are wanted.
  let probedKeys: Int?
  let kernels: Kernels
  let loop: ParallelLoop

  var width: Int { anchors.matrix.columns }
  /// Logits of one anchor.
  var stride: Int { candidates.count + own.countPerRow }

  /// Few anchors: their logits are computed in f64, since no average over rows would hide the rounding of f32.
  private var isExact: Bool { anchors.count < 64 }

  /// - Throws: `ProductFailure` when the matrix library fails.
  func run() throws -> StripOutput {
    let rowsPerStrip = min(anchors.count, max(64, min(512, Self.mostLogits / max(1, stride))))
    let packed =
      isExact ? [] : candidates.packed(forRows: rowsPerStrip, of: anchors.count, stride: stride, loop)
    let strip = FloatBuffer(rowsPerStrip * stride)
    let scaled = FloatBuffer(wantsGradients ? rowsPerStrip * width : 0)
    var output = emptyOutput()
    for top in Swift.stride(from: 0, to: anchors.count, by: rowsPerStrip) {
      let rows = top..<min(top + rowsPerStrip, anchors.count)
      let offsets = isExact ? try exactLogits(rows, strip) : try logits(rows, packed, strip)
      try applyRule(rows, strip, offsets, &output)
      guard wantsGradients else { continue }
      try differentiate(
        rows, strip, scaled, &output.anchors, &output.candidates, &output.ownPositives, &output.ownNegatives)
    }
    return output
  }

  private func emptyOutput() -> StripOutput {
    var output = StripOutput(losses: [Double](repeating: 0, count: anchors.count))
    output.probe = probedKeys.map { RowProbe(keyColumns: $0) }
    guard wantsGradients else { return output }
    func zeros(_ rows: Int) -> [Float] { [Float](repeating: 0, count: rows * width) }
    output.anchors = zeros(anchors.count)
    output.candidates = candidates.blocks.map { $0.wantsGradient ? zeros($0.rows.count) : [] }
    output.ownPositives = zeros(own.positives?.keys.count ?? 0)
    output.ownNegatives = zeros(own.negatives?.count ?? 0)
    return output
  }

  /// z_ij = sᵢ·tⱼ·(qᵢ·kⱼ)/τ from f32 products.
  private func logits(
    _ rows: Range<Int>, _ packed: [PackedRows?], _ strip: FloatBuffer
  ) throws -> [Double] {
    try anchors.matrix.values.withUnsafeBufferPointer { all in
      guard let first = all.baseAddress else { throw ProductFailure() }
      let queries = first + rows.lowerBound * width
      try loop.forEach(candidates.tiles.count) { index in
        let tile = candidates.tiles[index]
        // SAFETY: the tile's columns lie in every row of the strip.
        return candidates.products(
          tile, packed, queries, rows: rows.count, into: strip.start + tile.start, stride: stride)
      }
    }
    try loop.forEach((rows.count + Self.rowsPerRule - 1) / Self.rowsPerRule) { piece in
      for index in Self.piece(piece, of: Self.rowsPerRule, in: rows.count) {
        let row = rows.lowerBound + index
        let scale = anchors.factor(row) / temperature
        let shared = strip[index * stride..<index * stride + candidates.count]
        candidates.factors.withPointer { kernels.scale(shared, by: scale, $0) }
        for (offset, candidate) in own.rows(of: row).enumerated() {
          let product = Float(dot(row, candidate)) * scale
          strip.start[index * stride + candidates.count + offset] = product * candidate.rows.factor(candidate.index)
        }
      }
      return true
    }
    return [Double](repeating: 0, count: rows.count)
  }

  /// The same from f64 dots, less the row's largest logit where the rule allows: what is left is small where it matters,
  /// so that rounding it to f32 costs nothing.
  private func exactLogits(_ rows: Range<Int>, _ strip: FloatBuffer) throws -> [Double] {
    var offsets = [Double](repeating: 0, count: rows.count)
    try offsets.withUnsafeMutableBufferPointer { offsets in
      try loop.forEach(rows.count) { index in
        let row = rows.lowerBound + index
        let scale = anchors.exactFactor(row) / Double(temperature)
        var exact: [Double] = []
        exact.reserveCapacity(stride)
        for block in candidates.blocks {
          for candidate in 0..<block.rows.count {
            exact.append(dot(row, (block.rows, candidate)) * scale * block.rows.exactFactor(candidate))
          }
        }
        for candidate in own.rows(of: row) {
          exact.append(dot(row, candidate) * scale * candidate.rows.exactFactor(candidate.index))
        }
        let offset = rule.ignoresShift ? exact.max() ?? 0 : 0
        for (column, value) in exact.enumerated() { strip.start[index * stride + column] = Float(value - offset) }
        offsets[index] = offset
        return true
      }
    }
    return offsets
  }

  private func dot(_ row: Int, _ candidate: (rows: ScaledRows, index: Int)) -> Double {
    anchors.matrix.withRow(row) { query in
      candidate.rows.matrix.withRow(candidate.index) { kernels.dot(query, $0) }
    }
  }

  private func applyRule(
    _ rows: Range<Int>, _ strip: FloatBuffer, _ offsets: [Double], _ output: inout StripOutput
  ) throws {
    let pieces = (rows.count + Self.rowsPerRule - 1) / Self.rowsPerRule
    var outcomes = [RowOutcome](repeating: RowOutcome(), count: rows.count)
    let probes = (0..<pieces).map { _ in probedKeys.map { RowProbe(keyColumns: $0, above: output.probe?.least ?? 0) } }
    try outcomes.withUnsafeMutableBufferPointer { outcomes in
      try loop.forEach(pieces) { piece in
        candidates.factors.withPointer { factors in
          for index in Self.piece(piece, of: Self.rowsPerRule, in: rows.count) {
            let context = RowContext(
              kernels: kernels, factors: factors, shared: candidates.count, wantsWeights: wantsGradients,
              temperature: temperature, offset: offsets[index], probe: probes[piece])
            let z = strip[index * stride..<(index + 1) * stride]
            outcomes[index] = rule.apply(rows.lowerBound + index, z, context)
          }
        }
        return true
      }
    }
    for (index, outcome) in outcomes.enumerated() {
      output.losses[rows.lowerBound + index] = outcome.loss
      output.weightedLogits += outcome.weightedLogits
      output.weights += outcome.weights
      output.entropy += outcome.entropy
    }
    for probe in probes { if let probe { output.probe?.add(probe) } }
  }

  private static func piece(_ index: Int, of size: Int, in count: Int) -> Range<Int> {
    index * size..<min((index + 1) * size, count)
  }
}
