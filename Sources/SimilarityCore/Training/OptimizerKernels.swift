import CKernels

/// What an optimiser does to arrays of parameters.
extension Kernels {
  /// One step of AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101), with the operations of `torch.optim.AdamW` in their order,
  /// each rounded to f32; the results are the same in every variant.
  ///
  /// - Parameters:
  ///   - values, gradients, first, second: `count` parameters, their derivatives, and the running means of these and of their
  ///     squares.
  ///   - rate: the learning rate.
  ///   - decay: the values are multiplied by 1 − rate·decay first.
  ///   - correction1, correction2: 1 − beta1ᵗ and 1 − beta2ᵗ for the step t, which counts from 1.
  ///   - scale: what gradients are multiplied by, for clipping by the global norm.
  public func adamW(
    values: UnsafeMutablePointer<Float>, gradients: UnsafePointer<Float>, first: UnsafeMutablePointer<Float>,
    second: UnsafeMutablePointer<Float>, count: Int, rate: Double, beta1: Double, beta2: Double, epsilon: Double,
    decay: Double, correction1: Double, correction2: Double, scale: Float
  ) {
    // As PyTorch does, scalars are computed in f64 and rounded once.
    var step = nf_adamw(
      gradient_scale: scale, value_keep: Float(1 - rate * decay), first_share: Float(1 - beta1),
      second_keep: Float(beta2), second_share: Float(1 - beta2), step_size: Float(rate / correction1),
      second_root: Float(correction2.squareRoot()), epsilon: Float(epsilon))
    table.pointee.adamw(&step, gradients, count, values, first, second)
  }

  /// Σ xᵢ², in f64 and a fixed order.
  public func sumOfSquares(_ x: UnsafePointer<Float>, count: Int) -> Double { table.pointee.dot_f64(x, x, count) }

  /// target[i] ← momentum·target[i] + (1 − momentum)·source[i]: a copy of a model that follows it slowly (He et al. 2020, arXiv
  /// 1911.05722, section 3.2).
  public func follow(
    target: UnsafeMutablePointer<Float>, source: UnsafePointer<Float>, count: Int, momentum: Float
  ) {
    table.pointee.follow(source, momentum, count, target)
  }

  /// Whether no value is infinite or not a number.
  public func isFinite(_ x: UnsafePointer<Float>, count: Int) -> Bool { table.pointee.all_finite(x, count) != 0 }

  /// out[i] += scale·x[i].
  public func addScaled(
    _ x: UnsafePointer<Float>, scale: Float, count: Int, to out: UnsafeMutablePointer<Float>
  ) {
    table.pointee.add_scaled(x, scale, count, out)
  }
}
