import SimilarityCore

/// What all objectives share: options, kernels, threads, and the way from sums over rows to a result.
struct Scoring {
  let options: LossOptions
  let kernels: Kernels
  let loop: ParallelLoop

  init(_ options: LossOptions, _ kernels: Kernels) {
    self.options = options
    self.kernels = kernels
    loop = ParallelLoop(threads: options.threads)
  }

  func scaled(_ matrix: Matrix, _ field: String) throws(ContrastiveError) -> ScaledRows {
    try ScaledRows(matrix, normalize: options.normalize, field: field, kernels: kernels)
  }

  /// Runs a pass over the logits.
  ///
  /// - Parameter keyColumns: leading columns that are the batch's keys.
  func pass(
    _ anchors: ScaledRows, _ candidates: CandidateRows, own: OwnCandidates? = nil, rule: any RowRule, keyColumns: Int
  ) throws -> StripOutput {
    let own = own ?? OwnCandidates(positives: nil, negatives: nil, negativesPerRow: 0)
    // Neither gradients nor facts: the logits need not be kept at all.
    if let softmax = rule as? SoftmaxRule, !options.wantsGradients, !options.wantsDiagnostics, anchors.count >= 64 {
      let forward = ForwardPass(
        anchors: anchors, candidates: candidates, own: own, temperature: options.temperature, rule: softmax,
        kernels: kernels, loop: loop)
      return StripOutput(losses: try forward.run())
    }
    return try StripPass(
      anchors: anchors, candidates: candidates, own: own, temperature: options.temperature, rule: rule,
      wantsGradients: options.wantsGradients, probedKeys: options.wantsDiagnostics ? keyColumns : nil,
      kernels: kernels, loop: loop
    ).run()
  }

  /// The loss and its rows, checked to be numbers.
  ///
  /// - Parameters:
  ///   - field: the field whose rows the anchors are.
  ///   - counted: rows that the mean is over.
  func result(
    _ losses: [Double], candidates: Int, field: String = "queries", counted: Int? = nil
  ) throws(ContrastiveError) -> LossResult {
    for (row, loss) in losses.enumerated() where !Float(loss).isFinite {
      throw ContrastiveError(field: field, row: row, reason: "its logits are not finite in f32")
    }
    let total = losses.reduce(0, +)
    return LossResult(
      loss: total / Double(counted ?? losses.count), perRow: losses.map { Float($0) }, candidates: candidates)
  }

  /// 1/(n·τ): from sums over rows of ∂ℓ/∂z to the mean's derivative with respect to the similarities.
  func scale(rows: Int) -> Double { 1 / (Double(rows) * Double(options.temperature)) }

  /// ∂loss/∂τ = −Σ w·z / (n·τ), since z = similarity / τ.
  func temperatureGradient(_ weightedLogits: Double, rows: Int) -> Double { -weightedLogits * scale(rows: rows) }

  /// Turns sums t·∂(Σℓ)/∂x̂ into the derivative with respect to the rows as given.
  ///
  /// - Throws: ``ContrastiveError`` naming `field` and the row whose derivative is not finite in f32.
  func gradient(
    _ sums: consuming [Float], of rows: ScaledRows, scale: Double, field: String
  ) throws -> Matrix {
    let width = rows.matrix.columns
    let pieceRows = 256
    var sums = sums
    var broken = [Int?](repeating: nil, count: (rows.count + pieceRows - 1) / pieceRows)
    try broken.withUnsafeMutableBufferPointer { broken in
      try sums.withUnsafeMutableBufferPointer { sums in
        try loop.forEach(broken.count) { piece in
          for row in piece * pieceRows..<min((piece + 1) * pieceRows, rows.count) {
            let part = UnsafeMutableBufferPointer(rebasing: sums[row * width..<(row + 1) * width])
            if !rows.pullBack(part, row: row, scale: scale), broken[piece] == nil { broken[piece] = row }
          }
          return true
        }
      }
    }
    if let row = broken.lazy.compactMap({ $0 }).first {
      throw ContrastiveError(field: field, row: row, reason: "its gradient is not finite in f32")
    }
    guard let matrix = Matrix(rows: rows.count, columns: width, values: sums) else { throw ProductFailure() }
    return matrix
  }
}
