import CKernels

/// Norms for training: forward passes that write what the backward passes need, and these. Rows are row-major; all counts are
/// the caller's promise.
extension Kernels {
  /// LayerNorm (Ba et al. 2016, arXiv 1607.06450) of `x + residual`.
  ///
  /// - Parameters:
  ///   - x: [rows, width], as `residual`.
  ///   - beta: [width]; nil for zeros.
  ///   - sum: gets `x + residual`, [rows, width]; it may be `x` or `residual`.
  ///   - statistics: gets the mean and 1/σ of each row, [rows, 2].
  ///   - out: [rows, width]; of the others it may be `residual` only.
  public func layerNormForward(
    _ x: UnsafePointer<Float>, residual: UnsafePointer<Float>?, gamma: UnsafePointer<Float>,
    beta: UnsafePointer<Float>?,
    epsilon: Float, rows: Int, width: Int, sum: UnsafeMutablePointer<Float>, statistics: UnsafeMutablePointer<Float>,
    into out: UnsafeMutablePointer<Float>
  ) {
    table.pointee.layer_norm_forward(x, residual, gamma, beta, epsilon, rows, width, sum, statistics, out)
  }

  /// The backward pass of ``layerNormForward(_:residual:gamma:beta:epsilon:rows:width:sum:statistics:into:)``.
  ///
  /// - Parameters:
  ///   - dy: the derivative of the loss by the results, [rows, width].
  ///   - x: the `sum` of the forward pass.
  ///   - dx: gets the derivative by the sum, which is that by both of its parts; it may be `dy`.
  ///   - dgamma, dbeta: the derivatives by the parameters are added here, [width].
  public func layerNormBackward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, statistics: UnsafePointer<Float>,
    gamma: UnsafePointer<Float>,
    rows: Int, width: Int, dx: UnsafeMutablePointer<Float>, dgamma: UnsafeMutablePointer<Float>,
    dbeta: UnsafeMutablePointer<Float>?
  ) {
    table.pointee.layer_norm_backward(dy, x, statistics, gamma, rows, width, dx, dgamma, dbeta)
  }

  /// RMSNorm (Zhang & Sennrich 2019, arXiv 1910.07467) of `x + residual`: as
  /// ``layerNormForward(_:residual:gamma:beta:epsilon:rows:width:sum:statistics:into:)``, but `statistics` gets 1/√(mean of
  /// squares + epsilon) of each row, [rows].
  public func rmsNormForward(
    _ x: UnsafePointer<Float>, residual: UnsafePointer<Float>?, gamma: UnsafePointer<Float>, epsilon: Float, rows: Int,
    width: Int, sum: UnsafeMutablePointer<Float>, statistics: UnsafeMutablePointer<Float>,
    into out: UnsafeMutablePointer<Float>
  ) {
    table.pointee.rms_norm_forward(x, residual, gamma, epsilon, rows, width, sum, statistics, out)
  }

  /// The backward pass of ``rmsNormForward(_:residual:gamma:epsilon:rows:width:sum:statistics:into:)``, as that of LayerNorm.
  public func rmsNormBackward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, statistics: UnsafePointer<Float>,
    gamma: UnsafePointer<Float>,
    rows: Int, width: Int, dx: UnsafeMutablePointer<Float>, dgamma: UnsafeMutablePointer<Float>
  ) {
    table.pointee.rms_norm_backward(dy, x, statistics, gamma, rows, width, dx, dgamma)
  }
}
