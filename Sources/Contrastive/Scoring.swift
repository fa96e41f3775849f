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
    _ anchors: ScaledRows, _ candidates: CandidateRows, own: OwnCandidates = OwnCandidates(), rule: any RowRule,
    keyColumns: Int
  ) throws -> StripOutput {
    // Without gradients and diagnostics the logits need not be kept at all.
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

  /// The loss and its rows.
  ///
  /// - Parameter counted: rows that the mean is over; all of them when nil.
  /// - Throws: ``ContrastiveError`` naming the first row whose value is not finite.
  func result(_ losses: [Double], candidates: Int, counted: Int? = nil) throws(ContrastiveError) -> LossResult {
    for (row, loss) in losses.enumerated() where !Float(loss).isFinite {
      throw ContrastiveError(field: "queries", row: row, reason: "its logits are not finite in f32")
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
  ) throws(ContrastiveError) -> Matrix {
    let width = rows.matrix.columns
    precondition(sums.count == rows.count * width, "\(sums.count) sums for \(rows.count) rows of \(width) values")
    let rowsPerPiece = 256
    var sums = sums
    var broken = [Int?](repeating: nil, count: (rows.count + rowsPerPiece - 1) / rowsPerPiece)
    broken.withUnsafeMutableBufferPointer { broken in
      sums.withUnsafeMutableBufferPointer { sums in
        loop.forEachPiece(broken.count) { piece in
          for row in piece * rowsPerPiece..<min((piece + 1) * rowsPerPiece, rows.count) {
            let part = UnsafeMutableBufferPointer(rebasing: sums[row * width..<(row + 1) * width])
            if !rows.pullBack(part, row: row, scale: scale), broken[piece] == nil { broken[piece] = row }
          }
        }
      }
    }
    if let row = broken.lazy.compactMap({ $0 }).first {
      throw ContrastiveError(field: field, row: row, reason: "its gradient is not finite in f32")
    }
    return Matrix(rows.count, width, sums)
  }

  /// Adds one array of sums to another of the same length.
  func add(_ values: [Float], to sums: inout [Float]) {
    precondition(values.count == sums.count, "\(values.count) values for \(sums.count) sums")
    for index in sums.indices { sums[index] += values[index] }
  }

  /// The values, leaving an empty array behind, so that a gradient is not in memory twice.
  func take(_ values: inout [Float]) -> [Float] {
    defer { values = [] }
    return values
  }
}

/// What an objective does with the logits of one anchor: the forward and the backward pass of one row.
protocol RowRule: Sendable {
  /// The value depends only on differences of a row's logits, so that a constant may be subtracted from all of them.
  var ignoresShift: Bool { get }

  /// Reads the logits `z` of anchor `row`; where ``RowContext/wantsWeights`` it leaves ∂ℓ/∂zⱼ·tⱼ in their place.
  func apply(_ row: Int, _ z: UnsafeMutableBufferPointer<Float>, _ context: RowContext) -> RowOutcome
}

/// What a rule needs beside the logits.
struct RowContext {
  let kernels: Kernels
  /// t of the shared columns; nil is all ones. Columns after `shared` have t = 1.
  let factors: UnsafePointer<Float>?
  let shared: Int
  let wantsWeights: Bool
  let temperature: Float
  /// What was subtracted from the row's logits.
  let offset: Double
  /// What collects the row's part of the diagnostics; nil when none are wanted.
  let probe: RowProbe?

  /// Multiplies weights by `factor` and by the columns' t.
  func scaleWeights(_ z: UnsafeMutableBufferPointer<Float>, by factor: Float) {
    let shared = min(shared, z.count)
    kernels.scale(UnsafeMutableBufferPointer(rebasing: z[..<shared]), by: factor, factors)
    if shared < z.count { kernels.scale(UnsafeMutableBufferPointer(rebasing: z[shared...]), by: factor, nil) }
  }

  /// t of column `column`.
  func factor(_ column: Int) -> Float { column < shared ? factors?[column] ?? 1 : 1 }
}

/// The value of one row, and its share of the sums over rows.
struct RowOutcome {
  var loss = 0.0
  /// Σ wⱼ·zⱼ with w = ∂ℓ/∂z, for the derivative with respect to τ. The weights of a softmax sum to 0, so that what was
  /// subtracted from the logits does not show.
  var weightedLogits = 0.0
  /// Σ wⱼ, for the derivative with respect to the bias.
  var weights = 0.0
  /// Of the row's softmax, in nats.
  var entropy = 0.0
}
