import SimilarityCore

extension StripPass {
  /// Adds a strip's weights times the other side to both sides' gradients.
  func differentiate(
    _ rows: Range<Int>, _ strip: FloatBuffer, _ scaled: FloatBuffer, _ anchorGradients: inout [Float],
    _ candidateGradients: inout [[Float]], _ ownPositives: inout [Float], _ ownNegatives: inout [Float]
  ) throws {
    scaleAnchors(rows, into: scaled)
    // The whole side of candidates passes by once for each piece: taller ones read it less often, but there must be enough
    // of them for every thread.
    let rowsPerProduct = rows.count >= 512 ? 128 : 64
    let rowPieces = (rows.count + rowsPerProduct - 1) / rowsPerProduct
    let tiles = candidates.tiles.filter { candidates.blocks[$0.block].wantsGradient }
    // Pointers are taken on this thread; every piece writes to rows of its own.
    try anchorGradients.withUnsafeMutableBufferPointer { anchorGradients in
      try ownNegatives.withUnsafeMutableBufferPointer { ownNegatives in
        try withPointers(&candidateGradients) { candidateGradients in
          try loop.forEach(tiles.count + rowPieces) { piece in
            // The large pieces first, so that the small ones fill up what is left at the end.
            guard piece < rowPieces else {
              let tile = tiles[piece - rowPieces]
              return addToCandidates(tile, rows, strip, scaled, candidateGradients[tile.block])
            }
            let first = piece * rowsPerProduct
            let part = first..<min(first + rowsPerProduct, rows.count)
            return addToAnchors(part, rows, strip, scaled, anchorGradients, ownNegatives)
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
    _ gradient: UnsafeMutablePointer<Float>?
  ) -> Bool {
    // SAFETY: the tile's columns lie in the strip, its rows in the gradient of its block.
    guard let gradient else { return false }
    return Product.addTransposed(
      weights: strip.start + tile.start, count: tile.count, stride: stride, rows: scaled.start, inner: rows.count,
      columns: width, to: gradient + tile.first * width)
  }

  /// gradient of the strip's rows `part` = s·W·(t·k), own candidates included; their negatives' gradients beside it.
  private func addToAnchors(
    _ part: Range<Int>, _ rows: Range<Int>, _ strip: FloatBuffer, _ scaled: FloatBuffer,
    _ anchorGradients: UnsafeMutableBufferPointer<Float>, _ ownNegatives: UnsafeMutableBufferPointer<Float>
  ) -> Bool {
    guard let gradients = anchorGradients.baseAddress else { return false }
    // SAFETY: rows of the strip are rows of the gradient, and no other piece has them.
    let target = gradients + (rows.lowerBound + part.lowerBound) * width
    for block in candidates.blocks {
      let isDone = block.rows.matrix.values.withUnsafeBufferPointer { keys in
        guard let first = keys.baseAddress else { return false }
        return Product.add(
          weights: strip.start + part.lowerBound * stride + block.start, count: part.count, stride: stride, rows: first,
          inner: block.rows.count, columns: width, to: target)
      }
      guard isDone else { return false }
    }
    for index in part {
      let row = rows.lowerBound + index
      let gradient = gradients + row * width
      let weights = strip.start + index * stride + candidates.count
      for (offset, candidate) in own.rows(of: row).enumerated() {
        let weight = weights[offset] * candidate.rows.factor(candidate.index)
        candidate.rows.matrix.withRow(candidate.index) { add($0, times: weight, to: gradient) }
        guard own.positives == nil || offset > 0, let first = ownNegatives.baseAddress else { continue }
        add(scaled[index * width..<(index + 1) * width], times: weight, to: first + candidate.index * width)
      }
      let factor = anchors.factor(row)
      for column in 0..<width { gradient[column] *= factor }
    }
    return true
  }

  /// Several anchors may have the same positive: one after another.
  private func addToOwnPositives(
    _ rows: Range<Int>, _ strip: FloatBuffer, _ scaled: FloatBuffer, _ gradients: inout [Float]
  ) {
    guard let (keys, indices) = own.positives else { return }
    gradients.withUnsafeMutableBufferPointer { gradients in
      guard let first = gradients.baseAddress else { return }
      for (index, row) in rows.enumerated() {
        let weight = strip.start[index * stride + candidates.count] * keys.factor(indices[row])
        add(scaled[index * width..<(index + 1) * width], times: weight, to: first + indices[row] * width)
      }
    }
  }

  // SAFETY: `target` has at least as many values as `row`.
  private func add(_ row: UnsafeBufferPointer<Float>, times weight: Float, to target: UnsafeMutablePointer<Float>) {
    for column in row.indices { target[column] += weight * row[column] }
  }

  private func add(
    _ row: UnsafeMutableBufferPointer<Float>, times weight: Float, to target: UnsafeMutablePointer<Float>
  ) {
    add(UnsafeBufferPointer(row), times: weight, to: target)
  }

  /// Calls `body` with pointers to all arrays at once.
  private func withPointers(
    _ arrays: inout [[Float]], _ body: ([UnsafeMutablePointer<Float>?]) throws -> Void
  ) throws {
    func nest(_ index: Int, _ pointers: [UnsafeMutablePointer<Float>?]) throws {
      guard index < arrays.count else { return try body(pointers) }
      var array: [Float] = []
      swap(&array, &arrays[index])
      defer { swap(&array, &arrays[index]) }
      try array.withUnsafeMutableBufferPointer { try nest(index + 1, pointers + [$0.baseAddress]) }
    }
    try nest(0, [])
  }
}

extension Optional where Wrapped == [Float] {
  /// The values' address, or nil.
  func withPointer<Result>(_ body: (UnsafePointer<Float>?) throws -> Result) rethrows -> Result {
    guard let values = self else { return try body(nil) }
    return try values.withUnsafeBufferPointer { try body($0.baseAddress) }
  }
}
