import CKernels
import Platform

/// Passes over one row of logits, in place. Sums are in f64.
extension Kernels {
  /// The value of entries that take no part in a sum of exponentials.
  public static let masked = -Float.greatestFiniteMagnitude

  /// zⱼ ← zⱼ·scale·columnScaleⱼ. `columnScale` has at least as many values as `row`; nil stands for ones.
  public func scale(_ row: UnsafeMutableBufferPointer<Float>, by scale: Float, _ columnScale: UnsafePointer<Float>?) {
    guard let z = row.baseAddress else { return }
    table.pointee.scale_row(z, columnScale, scale, row.count)
  }

  /// The result of ``exponentiate(_:)``.
  public struct Exponentials: Sendable {
    /// max zⱼ.
    public let maximum: Float
    /// S = Σ exp(zⱼ − max).
    public let sum: Double
    /// Σ exp(zⱼ − max)·(zⱼ − max).
    public let weighted: Double
  }

  /// zⱼ ← exp(zⱼ − max). Entries of ``masked`` become 0 unless all are masked.
  public func exponentiate(_ row: UnsafeMutableBufferPointer<Float>) -> Exponentials {
    var sum = 0.0
    var weighted = 0.0
    guard let z = row.baseAddress else { return Exponentials(maximum: Self.masked, sum: 0, weighted: 0) }
    let maximum = table.pointee.exponentiate_row(z, row.count, &sum, &weighted)
    return Exponentials(maximum: maximum, sum: sum, weighted: weighted)
  }

  /// The result of ``sigmoid(_:bias:)``.
  public struct Sigmoids: Sendable {
    /// Σ log(1 + exp(zⱼ + bias)).
    public let loss: Double
    /// Σ σ(zⱼ + bias).
    public let sum: Double
    /// Σ σ(zⱼ + bias)·zⱼ.
    public let weighted: Double
  }

  /// zⱼ ← σ(zⱼ + bias).
  public func sigmoid(_ row: UnsafeMutableBufferPointer<Float>, bias: Float) -> Sigmoids {
    var loss = 0.0
    var sum = 0.0
    var weighted = 0.0
    if let z = row.baseAddress { table.pointee.sigmoid_row(z, bias, row.count, &loss, &sum, &weighted) }
    return Sigmoids(loss: loss, sum: sum, weighted: weighted)
  }

  /// The result of ``statistics(_:threshold:)``.
  public struct RowStatistics: Sendable {
    /// The number of values that are at least the threshold.
    public var atLeast = 0
    /// The largest value; ``masked`` where there are no values.
    public var largest = Kernels.masked
    /// Σ zⱼ.
    public var sum = 0.0
    /// The number of values.
    public var count = 0

    public init() {}

    /// Adds the values of another part of the row.
    public mutating func add(_ other: RowStatistics) {
      atLeast += other.atLeast
      largest = max(largest, other.largest)
      sum += other.sum
      count += other.count
    }
  }

  /// Counts the values of `row` that are at least `threshold`, and finds the largest value and the sum.
  public func statistics(_ row: UnsafeBufferPointer<Float>, threshold: Float) -> RowStatistics {
    var found = RowStatistics()
    guard let z = row.baseAddress else { return found }
    table.pointee.row_statistics(z, threshold, row.count, &found.atLeast, &found.largest, &found.sum)
    found.count = row.count
    return found
  }

  /// The first index from `start` on whose value is above `threshold`; nil when there is none.
  public func firstIndex(above threshold: Float, in row: UnsafeBufferPointer<Float>, from start: Int) -> Int? {
    guard let z = row.baseAddress, start >= 0, start < row.count else { return nil }
    let found = table.pointee.find_above(z, threshold, start, row.count)
    return found < row.count ? found : nil
  }
}

/// log Σ exp zⱼ of values that arrive in pieces, which are never stored all at once (Milakov & Gimelshein 2018, arXiv
/// 1805.02867).
public struct LogSumExp: Sendable {
  /// The largest value so far; −∞ before the first.
  var maximum = -Double.infinity
  /// Σ exp(zⱼ − maximum).
  var sum = 0.0

  /// The log-sum-exp of no values.
  public init() {}

  /// The log-sum-exp of one value.
  public init(_ value: Float) {
    maximum = Double(value)
    sum = 1
  }

  /// log Σ exp zⱼ; −∞ for no values, not finite when a value was not.
  public var value: Double { sum > 0 ? maximum + log(sum) : (maximum == -.infinity ? -.infinity : .nan) }

  /// Extends the sum by `products[j] · scale · factors[columns[j]]`; nil for `factors` stands for ones.
  public mutating func extend(
    by products: UnsafeBufferPointer<Float>, scale: Float, columns: Range<Int>, of factors: [Float]?, _ kernels: Kernels
  ) {
    guard let factors else {
      return kernels.extend(&self, products: products, scale: scale, columnScale: nil)
    }
    precondition(columns.count == products.count, "\(products.count) products for \(columns.count) columns")
    precondition(
      columns.lowerBound >= 0 && columns.upperBound <= factors.count, "\(columns) of \(factors.count) factors")
    factors.withUnsafeBufferPointer {
      kernels.extend(&self, products: products, scale: scale, columnScale: UnsafeBufferPointer(rebasing: $0[columns]))
    }
  }
}
