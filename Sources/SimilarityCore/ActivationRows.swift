import CKernels

/// Loops over the rows of activations, between the products of an encoder.
extension Kernels {
  /// LayerNorm (Ba et al. 2016, arXiv 1607.06450) of `x + residual`, both [rows, gamma.count]. `out` may be `x` or
  /// `residual`.
  public func layerNorm(
    _ x: UnsafePointer<Float>, residual: UnsafePointer<Float>?, gamma: UnsafeBufferPointer<Float>,
    beta: UnsafeBufferPointer<Float>, epsilon: Float, rows: Int, into out: UnsafeMutablePointer<Float>
  ) {
    precondition(gamma.count == beta.count, "LayerNorm has \(gamma.count) gains and \(beta.count) biases")
    guard let g = gamma.baseAddress, let b = beta.baseAddress else { return }
    table.pointee.layer_norm(x, residual, g, b, epsilon, rows, gamma.count, out)
  }

  /// RMSNorm (Zhang & Sennrich 2019, arXiv 1910.07467): x/√(mean of x² + epsilon)·gamma for `rows` rows of
  /// `gamma.count` values. `out` may be `x`.
  public func rmsNorm(
    _ x: UnsafePointer<Float>, gamma: UnsafeBufferPointer<Float>, epsilon: Float, rows: Int,
    into out: UnsafeMutablePointer<Float>
  ) {
    guard let g = gamma.baseAddress else { return }
    table.pointee.rms_norm(x, g, epsilon, rows, gamma.count, out)
  }

  /// out[i] += x[i], for `count` values.
  public func add(_ x: UnsafePointer<Float>, count: Int, to out: UnsafeMutablePointer<Float>) {
    table.pointee.add(x, count, out)
  }

  /// The gate of a feed-forward block (Shazeer 2020, arXiv 2002.05202): out = activation(a)·b.
  ///
  /// - Parameters:
  ///   - x: [rows, 2·width]; a row has a and then b.
  ///   - precision: what results are rounded to afterwards. Below f32, GELU's error is up to 5e-5.
  ///   - out: [rows, width].
  public func gate(
    _ x: UnsafePointer<Float>, rows: Int, width: Int, _ activation: Activation, precision: Precision = .f32,
    into out: UnsafeMutablePointer<Float>
  ) {
    table.pointee.gate_rows(x, rows, width, activation.shim(precision), out)
  }

  /// Rotary positions (Su et al. 2021, arXiv 2104.09864): of the first values of each head, the pairs
  /// (x[i], x[half + i]) are rotated by the angle whose cosine and sine are given.
  ///
  /// - Parameters:
  ///   - x: the first head of the first row; a row has `heads` heads of `headWidth` values one after another.
  ///   - stride: the values from one row to the next.
  ///   - cosines, sines: [rows, half].
  public func rotatePairs(
    _ x: UnsafeMutablePointer<Float>, rows: Int, stride: Int, heads: Int, headWidth: Int, half: Int,
    cosines: UnsafePointer<Float>, sines: UnsafePointer<Float>
  ) {
    table.pointee.rotate_pairs(x, rows, stride, heads, headWidth, half, cosines, sines)
  }

  /// The mean of each column over `rows` rows of `out.count` floats; 0 when there are no rows.
  public func mean(_ x: UnsafePointer<Float>, rows: Int, into out: UnsafeMutableBufferPointer<Float>) {
    guard let o = out.baseAddress else { return }
    table.pointee.mean_rows(x, rows, out.count, o)
  }

  /// The largest value of each column over `rows` rows of `out.count` floats, at least one row.
  public func maximum(_ x: UnsafePointer<Float>, rows: Int, into out: UnsafeMutableBufferPointer<Float>) {
    guard let o = out.baseAddress else { return }
    table.pointee.max_rows(x, rows, out.count, o)
  }
}
