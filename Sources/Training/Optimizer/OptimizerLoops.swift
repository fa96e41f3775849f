/// The innermost loops of the optimiser.
enum OptimizerLoops {
  /// Σ xᵢ² in f64, in a fixed order.
  static func sumOfSquares(_ x: UnsafePointer<Float>, count: Int) -> Double {
    var sums = SIMD8<Double>.zero
    var index = 0
    while index + 8 <= count {
      // SAFETY: eight values lie within the count.
      let values = SIMD8<Double>(UnsafeRawPointer(x + index).loadUnaligned(as: SIMD8<Float>.self))
      sums += values * values
      index += 8
    }
    var sum = sums.sum()
    while index < count {
      sum += Double(x[index]) * Double(x[index])
      index += 1
    }
    return sum
  }

  /// One step of AdamW over `count` values, with the operations of torch.optim.AdamW in their order:
  /// w ← w·(1 − rate·decay), m ← m + (g − m)·(1 − β₁), v ← v·β₂ + (1 − β₂)·g²,
  /// w ← w − (rate / correction1)·m / (√v / √correction2 + ε), where g is the gradient times `scale`.
  static func adamW(
    values: UnsafeMutablePointer<Float>, gradients: UnsafePointer<Float>, first: UnsafeMutablePointer<Float>,
    second: UnsafeMutablePointer<Float>, count: Int, rate: Double, beta1: Double, beta2: Double, epsilon: Double,
    decay: Double, correction1: Double, correction2: Double, scale: Float
  ) {
    let keep = Float(1 - rate * decay)
    let (blend, beta2, blend2) = (Float(1 - beta1), Float(beta2), Float(1 - beta2))
    let (size, root, epsilon) = (Float(rate / correction1), Float(correction2.squareRoot()), Float(epsilon))
    for index in 0..<count {
      let gradient = gradients[index] * scale
      first[index] += (gradient - first[index]) * blend
      second[index] = second[index] * beta2 + blend2 * gradient * gradient
      values[index] = values[index] * keep - size * first[index] / (second[index].squareRoot() / root + epsilon)
    }
  }
}
