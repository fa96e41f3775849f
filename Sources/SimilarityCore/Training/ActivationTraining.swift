import CKernels

/// Activation functions, gates and biases for training.
extension Kernels {
  /// out[i] = activation(x[i]), with the exact functions. `out` may be `x`, but the backward pass needs `x`.
  public func activateForward(
    _ x: UnsafePointer<Float>, count: Int, _ activation: Activation, into out: UnsafeMutablePointer<Float>
  ) {
    table.pointee.activation_forward(x, count, activation.shim(), out)
  }

  /// dx[i] = dy[i]·activation′(x[i]), where dy is the derivative of the loss by the results; the derivative of ReLU at 0 is
  /// 0. `dx` may be `dy`.
  public func activateBackward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, count: Int, _ activation: Activation,
    into dx: UnsafeMutablePointer<Float>
  ) {
    table.pointee.activation_backward(dy, x, count, activation.shim(), dx)
  }

  /// The gate of a feed-forward block, as ``gate(_:rows:width:_:precision:into:)`` in f32.
  public func gateForward(
    _ x: UnsafePointer<Float>, rows: Int, width: Int, _ activation: Activation, into out: UnsafeMutablePointer<Float>
  ) {
    gate(x, rows: rows, width: width, activation, into: out)
  }

  /// The backward pass of a gate.
  ///
  /// - Parameters:
  ///   - dy: the derivative of the loss by activation(a)·b, [rows, width].
  ///   - x: [rows, 2·width]; a row has a and then b.
  ///   - dx: gets the derivative by `x`, [rows, 2·width]; it may be `x`.
  public func gateBackward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, rows: Int, width: Int, _ activation: Activation,
    into dx: UnsafeMutablePointer<Float>
  ) {
    table.pointee.gate_backward(dy, x, rows, width, activation.shim(), dx)
  }

  /// out[c] += Σ x[r, c] over `rows` rows of `width` values: the derivative by a bias.
  public func addColumnSums(_ x: UnsafePointer<Float>, rows: Int, width: Int, to out: UnsafeMutablePointer<Float>) {
    table.pointee.add_column_sums(x, rows, width, out)
  }

  /// x[r, c] += bias[c], for `rows` rows of `width` values.
  public func addBias(_ bias: UnsafePointer<Float>, rows: Int, width: Int, to x: UnsafeMutablePointer<Float>) {
    table.pointee.add_bias(bias, rows, width, x)
  }
}
