import Platform

/// log Σ exp zⱼ of values that arrive piece by piece, without ever holding them all (arXiv 1805.02867).
public struct LogSumExp: Sendable {
  /// The largest value so far; −∞ before the first.
  var maximum = -Double.infinity
  /// Σ exp(zⱼ − maximum).
  var sum = 0.0

  /// The sum over nothing.
  public init() {}

  /// The sum over one value.
  public init(_ value: Float) {
    maximum = Double(value)
    sum = 1
  }

  /// log Σ exp zⱼ in nats; −∞ over nothing, not finite when a value was not.
  public var value: Double { sum > 0 ? maximum + log(sum) : (maximum == -.infinity ? -.infinity : .nan) }
}

extension LogSumExp {
  /// Extends the sum by `products[j] · scale · factors[columns[j]]`; factors of nil are ones.
  public mutating func extend(
    by products: UnsafeBufferPointer<Float>, scale: Float, columns: Range<Int>, of factors: [Float]?, _ kernels: Kernels
  ) {
    guard let factors else {
      return kernels.extend(&self, products: products, scale: scale, columnScale: nil)
    }
    guard columns.count == products.count, columns.lowerBound >= 0, columns.upperBound <= factors.count else { return }
    factors.withUnsafeBufferPointer {
      kernels.extend(&self, products: products, scale: scale, columnScale: UnsafeBufferPointer(rebasing: $0[columns]))
    }
  }
}
