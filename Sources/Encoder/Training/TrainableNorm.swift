import SimilarityCore

/// A norm whose gain and bias are tensors of the layout.
struct TrainableNorm: Sendable {
  let kind: TransformerDescription.Norm
  let epsilon: Float
  let width: Int
  /// Where the gain begins, as the file states it.
  let gain: Int
  /// Where the bias begins; nil without one.
  let bias: Int?

  /// The statistics of a row: its mean and 1/σ, or 1/√(mean of squares).
  var statistics: Int {
    switch kind {
    case .layer: 2
    case .rms: 1
    }
  }
  /// The floats of scratch memory that both passes need.
  var scratch: Int { width }
  /// The floats of a piece's part of the gradients: of the gain, and then of the bias.
  var partial: Int { 2 * width }

  /// out = norm(x + residual).
  ///
  /// - Parameters:
  ///   - x, residual: [rows, width].
  ///   - sum: gets x + residual, [rows, width], where there is a residual.
  ///   - statistics: [rows, ``statistics``].
  func forward(
    _ x: UnsafePointer<Float>, residual: UnsafePointer<Float>? = nil, rows: Int, _ context: PassContext,
    scratch: UnsafeMutablePointer<Float>, sum: UnsafeMutablePointer<Float>? = nil,
    statistics: UnsafeMutablePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) {
    let gamma = effectiveGain(context, scratch)
    // Without a residual the sum is x, and the kernels write the same values there.
    let sum = sum ?? UnsafeMutablePointer(mutating: x)
    switch kind {
    case .layer:
      context.kernels.layerNormForward(
        x, residual: residual, gamma: gamma, beta: bias.map { context.values + $0 }, epsilon: epsilon,
        rows: rows, width: width, sum: sum, statistics: statistics, into: out)
    case .rms:
      context.kernels.rmsNormForward(
        x, residual: residual, gamma: gamma, epsilon: epsilon, rows: rows, width: width, sum: sum,
        statistics: statistics, into: out)
    }
  }

  /// The derivatives by the input, and those by the gain and the bias, which are added to `partial`.
  ///
  /// - Parameters:
  ///   - x: what was normalised, with the residual.
  ///   - dx: [rows, width]; it may be dy.
  ///   - partial: ``partial`` floats.
  func backward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, statistics: UnsafePointer<Float>, rows: Int,
    _ context: PassContext, scratch: UnsafeMutablePointer<Float>, into dx: UnsafeMutablePointer<Float>,
    partial: UnsafeMutablePointer<Float>
  ) {
    let gamma = effectiveGain(context, scratch)
    switch kind {
    case .layer:
      context.kernels.layerNormBackward(
        dy, x, statistics: statistics, gamma: gamma, rows: rows, width: width, dx: dx, dgamma: partial,
        dbeta: bias == nil ? nil : partial + width)
    case .rms:
      context.kernels.rmsNormBackward(
        dy, x, statistics: statistics, gamma: gamma, rows: rows, width: width, dx: dx, dgamma: partial)
    }
  }

  /// Adds what a piece has found to the gradients.
  func add(
    _ partial: UnsafePointer<Float>, _ kernels: Kernels, to gradients: UnsafeMutablePointer<Float>
  ) {
    kernels.add(partial, count: width, to: gradients + gain)
    if let bias { kernels.add(partial + width, count: width, to: gradients + bias) }
  }

  private func effectiveGain(_ context: PassContext, _ scratch: UnsafeMutablePointer<Float>) -> UnsafePointer<Float> {
    guard case .rms(let offset) = kind, offset != 0 else { return context.values + gain }
    for index in 0..<width { scratch[index] = context.values[gain + index] + offset }
    return UnsafePointer(scratch)
  }
}
