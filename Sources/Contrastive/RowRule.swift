import SimilarityCore

/// What an objective does with the logits of one anchor.
protocol RowRule: Sendable {
  /// The value depends on differences of a row's logits only, so that a constant may be taken off all of them.
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
  /// What was taken off the row's logits.
  let offset: Double
  /// Where facts about the row go; nil where nobody asked.
  let probe: RowProbe?

  /// Multiplies weights by `factor` and by the columns' t.
  func finish(_ z: UnsafeMutableBufferPointer<Float>, factor: Float) {
    let shared = min(shared, z.count)
    kernels.scale(UnsafeMutableBufferPointer(rebasing: z[..<shared]), by: factor, factors)
    if shared < z.count { kernels.scale(UnsafeMutableBufferPointer(rebasing: z[shared...]), by: factor, nil) }
  }

  /// t of column `column`.
  func factor(_ column: Int) -> Float { column < shared ? factors?[column] ?? 1 : 1 }
}

/// What came of one row.
struct RowOutcome {
  var loss = 0.0
  /// Σ wⱼ·zⱼ, for the temperature: centred, since weights of a softmax sum to 0 and only differences of logits enter.
  var weightedLogits = 0.0
  /// Σ wⱼ, for the bias.
  var weights = 0.0
  /// Of the row's softmax, in nats.
  var entropy = 0.0
}
