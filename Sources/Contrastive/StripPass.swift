import SimilarityCore

/// What a pass over all anchors found.
struct StripOutput {
  /// ℓᵢ of each anchor.
  var losses: [Double]
  /// Σᵢ Σⱼ w_ij·z_ij and Σᵢ Σⱼ w_ij.
  var weightedLogits = 0.0
  var weights = 0.0
  /// Σᵢ of the rows' entropies.
  var entropy = 0.0
  /// s·∂(Σℓ)/∂q̂ of each anchor, [n, d]; empty without gradients.
  var anchors: [Float] = []
  /// The same of the candidates, block by block; empty for a block without gradients.
  var candidates: [[Float]] = []
  /// The same of the keys and of the negatives of ``OwnCandidates``.
  var ownPositives: [Float] = []
  var ownNegatives: [Float] = []
  var probe: RowProbe?
}

/// One pass over the logits of all anchors, strip by strip: never all n × C of them are in memory, only some hundred rows.
///
/// Each strip goes through three steps, each shared by all threads: products, column tile by column tile; the objective's
/// rule, row by row, which turns logits into weights; and the products of the weights with both sides, which are the
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
  /// How many leading columns are the batch's keys; nil when no diagnostics are wanted.
  let probedKeys: Int?
  let kernels: Kernels
  let loop: ParallelLoop

  private var width: Int { anchors.matrix.columns }
  /// Logits of one anchor.
  private var stride: Int { candidates.count + own.countPerRow }

  /// The logits of few anchors are computed in f64, since no average over rows would hide the rounding of f32.
  private var isExact: Bool { anchors.count < 64 }

  /// - Throws: `ProductFailure` when the matrix library fails.
  func run() throws(ProductFailure) -> StripOutput {
    let rowsPerStrip = min(anchors.count, max(64, min(512, Self.mostLogits / max(1, stride))))
    let packed =
      isExact
      ? []
      : try candidates.packed(
        forRows: rowsPerStrip, of: anchors.count, stride: stride, tiesMatter: probedKeys != nil, loop)
    let strip = FloatBuffer(rowsPerStrip * stride)
    let scaled = FloatBuffer(wantsGradients ? rowsPerStrip * width : 0)
    var output = emptyOutput()
    for top in Swift.stride(from: 0, to: anchors.count, by: rowsPerStrip) {
      let rows = top..<min(top + rowsPerStrip, anchors.count)
      let offsets = isExact ? exactLogits(rows, strip) : try logits(rows, packed, strip)
      applyRule(rows, strip, offsets, &output)
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

  // MARK: Forward

  /// z_ij = sᵢ·tⱼ·(qᵢ·kⱼ)/τ from f32 products.
  ///
  /// - Returns: what was subtracted from each row's logits: nothing.
  private func logits(
    _ rows: Range<Int>, _ packed: [PackedRows?], _ strip: FloatBuffer
  ) throws(ProductFailure) -> [Double] {
    try anchors.matrix.withBaseAddress { first throws(ProductFailure) in
      let queries = first + rows.lowerBound * width
      try loop.forEachPiece(candidates.tiles.count) { index throws(ProductFailure) in
        let tile = candidates.tiles[index]
        // SAFETY: the tile's columns lie in every row of the strip.
        try candidates.products(
          tile, packed, queries, rows: rows.count, into: strip.start + tile.start, stride: stride)
      }
    }
    loop.forEachPiece((rows.count + Self.rowsPerRule - 1) / Self.rowsPerRule) { piece in
      for index in Self.piece(piece, of: Self.rowsPerRule, in: rows.count) {
        let row = rows.lowerBound + index
        let scale = anchors.factor(row) / temperature
        let shared = strip[index * stride..<index * stride + candidates.count]
        candidates.withFactors { kernels.scale(shared, by: scale, $0) }
        for (offset, candidate) in own.rows(of: row).enumerated() {
          let product = Float(dot(row, candidate)) * scale
          strip.start[index * stride + candidates.count + offset] = product * candidate.rows.factor(candidate.index)
        }
      }
    }
    return [Double](repeating: 0, count: rows.count)
  }

  /// The same from f64 dots, less the row's largest logit where the rule allows: what is left is small where it matters,
  /// so that rounding it to f32 costs nothing.
  ///
  /// - Returns: what was subtracted from each row's logits.
  private func exactLogits(_ rows: Range<Int>, _ strip: FloatBuffer) -> [Double] {
    var offsets = [Double](repeating: 0, count: rows.count)
    offsets.withUnsafeMutableBufferPointer { offsets in
      loop.forEachPiece(rows.count) { index in
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
      }
    }
    return offsets
  }

  private func dot(_ row: Int, _ candidate: (rows: ScaledRows, index: Int)) -> Double {
    anchors.matrix.withRow(row) { query in
      candidate.rows.matrix.withRow(candidate.index) { kernels.dot(query, $0) }
    }
  }

  /// The rule's part of both passes: values from logits, and weights in their place.
  private func applyRule(_ rows: Range<Int>, _ strip: FloatBuffer, _ offsets: [Double], _ output: inout StripOutput) {
    let pieces = (rows.count + Self.rowsPerRule - 1) / Self.rowsPerRule
    var outcomes = [RowOutcome](repeating: RowOutcome(), count: rows.count)
    let probes = (0..<pieces).map { _ in probedKeys.map { RowProbe(keyColumns: $0, above: output.probe?.least ?? 0) } }
    outcomes.withUnsafeMutableBufferPointer { outcomes in
      loop.forEachPiece(pieces) { piece in
        candidates.withFactors { factors in
          for index in Self.piece(piece, of: Self.rowsPerRule, in: rows.count) {
            let context = RowContext(
              kernels: kernels, factors: factors, shared: candidates.count, wantsWeights: wantsGradients,
              temperature: temperature, offset: offsets[index], probe: probes[piece])
            let z = strip[index * stride..<(index + 1) * stride]
            outcomes[index] = rule.apply(rows.lowerBound + index, z, context)
          }
        }
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

  // MARK: Backward

  /// Adds the strip's weights times the other side to the gradients of both sides.
  private func differentiate(
    _ rows: Range<Int>, _ strip: FloatBuffer, _ scaled: FloatBuffer, _ anchorGradients: inout [Float],
    _ candidateGradients: inout [[Float]], _ ownPositives: inout [Float], _ ownNegatives: inout [Float]
  ) throws(ProductFailure) {
    scaleAnchors(rows, into: scaled)
    // Each piece reads the whole side of candidates: taller pieces read it less often, but there must be enough of them for
    // every thread.
    let rowsPerProduct = rows.count >= 512 ? 128 : 64
    let rowPieces = (rows.count + rowsPerProduct - 1) / rowsPerProduct
    let tiles = candidates.tiles.filter { candidates.blocks[$0.block].wantsGradient }
    // Pointers are taken on this thread; every piece writes to rows of its own.
    try anchorGradients.withUnsafeMutableBufferPointer { anchorGradients throws(ProductFailure) in
      try ownNegatives.withUnsafeMutableBufferPointer { ownNegatives throws(ProductFailure) in
        try withPointers(&candidateGradients) { candidateGradients throws(ProductFailure) in
          try loop.forEachPiece(tiles.count + rowPieces) { piece throws(ProductFailure) in
            // The large pieces first, so that the small ones fill up what is left at the end.
            guard piece < rowPieces else {
              let tile = tiles[piece - rowPieces]
              return try addToCandidates(tile, rows, strip, scaled, candidateGradients[tile.block])
            }
            let first = piece * rowsPerProduct
            let part = first..<min(first + rowsPerProduct, rows.count)
            try addToAnchors(part, rows, strip, scaled, anchorGradients, ownNegatives)
          }
        }
      }
    }
    addToOwnPositives(rows, strip, scaled, &ownPositives)
  }

  /// scaledᵢ = sᵢ·qᵢ for the strip's rows.
  private func scaleAnchors(_ rows: Range<Int>, into scaled: FloatBuffer) {
    for (index, row) in rows.enumerated() {
      let factor = anchors.factor(row)
      anchors.matrix.withRow(row) { x in
        let target = scaled.start + index * width
        for column in x.indices { target[column] = x[column] * factor }
      }
    }
  }

  /// gradient of a tile's rows += Wᵀ·q̂.
  private func addToCandidates(
    _ tile: CandidateRows.Tile, _ rows: Range<Int>, _ strip: FloatBuffer, _ scaled: FloatBuffer,
    _ gradient: UnsafeMutableBufferPointer<Float>
  ) throws(ProductFailure) {
    precondition(gradient.count >= (tile.first + tile.count) * width, "the tile's block has no gradient")
    guard let first = gradient.baseAddress else { return }
    // SAFETY: the tile's columns lie in the strip, its rows in the gradient of its block.
    try Product.addTransposed(
      weights: strip.start + tile.start, count: tile.count, stride: stride, rows: scaled.start, inner: rows.count,
      columns: width, to: first + tile.first * width)
  }

  /// gradient of the strip's rows `part` = s·W·(t·k), own candidates included; their negatives' gradients beside it.
  private func addToAnchors(
    _ part: Range<Int>, _ rows: Range<Int>, _ strip: FloatBuffer, _ scaled: FloatBuffer,
    _ anchorGradients: UnsafeMutableBufferPointer<Float>, _ ownNegatives: UnsafeMutableBufferPointer<Float>
  ) throws(ProductFailure) {
    precondition(anchorGradients.count == anchors.count * width, "the anchors have no gradient")
    guard let gradients = anchorGradients.baseAddress else { return }
    // SAFETY: rows of the strip are rows of the gradient, and no other piece has them.
    let target = gradients + (rows.lowerBound + part.lowerBound) * width
    for block in candidates.blocks {
      try block.rows.matrix.withBaseAddress { keys throws(ProductFailure) in
        try Product.add(
          weights: strip.start + part.lowerBound * stride + block.start, count: part.count, stride: stride, rows: keys,
          inner: block.rows.count, columns: width, to: target)
      }
    }
    for index in part {
      let row = rows.lowerBound + index
      let gradient = gradients + row * width
      let weights = strip.start + index * stride + candidates.count
      for (offset, candidate) in own.rows(of: row).enumerated() {
        let weight = weights[offset] * candidate.rows.factor(candidate.index)
        candidate.rows.matrix.withRow(candidate.index) { add($0, times: weight, to: gradient) }
        // A shared positive's gradient is summed afterwards.
        guard own.positives == nil || offset > 0, let first = ownNegatives.baseAddress else { continue }
        add(row: index, of: scaled, times: weight, to: first + candidate.index * width)
      }
      let factor = anchors.factor(row)
      for column in 0..<width { gradient[column] *= factor }
    }
  }

  /// On one thread, since several anchors may have the same positive.
  private func addToOwnPositives(
    _ rows: Range<Int>, _ strip: FloatBuffer, _ scaled: FloatBuffer, _ gradients: inout [Float]
  ) {
    guard let (keys, indices) = own.positives else { return }
    gradients.withUnsafeMutableBufferPointer { gradients in
      guard let first = gradients.baseAddress else { return }
      for (index, row) in rows.enumerated() {
        let weight = strip.start[index * stride + candidates.count] * keys.factor(indices[row])
        add(row: index, of: scaled, times: weight, to: first + indices[row] * width)
      }
    }
  }

  private func add(row: Int, of scaled: FloatBuffer, times weight: Float, to target: UnsafeMutablePointer<Float>) {
    add(UnsafeBufferPointer(scaled[row * width..<(row + 1) * width]), times: weight, to: target)
  }

  // SAFETY: `target` has at least as many values as `row`.
  private func add(_ row: UnsafeBufferPointer<Float>, times weight: Float, to target: UnsafeMutablePointer<Float>) {
    for column in row.indices { target[column] += weight * row[column] }
  }

  /// Calls `body` with pointers to all arrays at once.
  private func withPointers(
    _ arrays: inout [[Float]], _ body: ([UnsafeMutableBufferPointer<Float>]) throws(ProductFailure) -> Void
  ) throws(ProductFailure) {
    func nest(_ index: Int, _ pointers: [UnsafeMutableBufferPointer<Float>]) throws(ProductFailure) {
      guard index < arrays.count else { return try body(pointers) }
      // Swapped out, so that the array is not copied while it is written to.
      var array: [Float] = []
      swap(&array, &arrays[index])
      defer { swap(&array, &arrays[index]) }
      try array.withUnsafeMutableBufferPointer { pointer throws(ProductFailure) in
        try nest(index + 1, pointers + [pointer])
      }
    }
    try nest(0, [])
  }
}
