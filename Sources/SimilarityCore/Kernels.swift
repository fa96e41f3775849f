import CKernels

/// The leaf loops of one instruction set, chosen once as the program starts.
///
/// Every function is a pure function of its arguments: the same bytes for a row alone and in any batch.
// SAFETY: the table is a constant of the program, never written after load.
public struct Kernels: @unchecked Sendable {
  let table: UnsafePointer<nf_kernels>

  /// The best variant that this processor runs.
  public static let active = Kernels(table: nf_kernels_active())

  /// Every name that a build may know, best last.
  public static let names = ["baseline", "neon", "avx2", "avx512", "avx512_vnni"]

  private init(table: UnsafePointer<nf_kernels>) {
    self.table = table
  }

  /// The variant of that name, or nil when this processor cannot run it.
  public init?(named name: String) {
    guard let table = nf_kernels_named(name) else { return nil }
    self.table = table
  }

  /// `baseline`, `avx2`, `avx512`, `avx512_vnni` or `neon`.
  public var name: String { String(cString: table.pointee.name) }

  /// Σ aᵢ·bᵢ over the shorter of both, each product and the sum in f64.
  public func dot(_ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>) -> Double {
    guard let a0 = a.baseAddress, let b0 = b.baseAddress else { return 0 }
    return table.pointee.dot_f64(a0, b0, min(a.count, b.count))
  }

  /// Σ (aᵢ − bᵢ)² over the shorter of both, in f64.
  public func squaredDistance(_ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>) -> Double {
    guard let a0 = a.baseAddress, let b0 = b.baseAddress else { return 0 }
    return table.pointee.distance_f64(a0, b0, min(a.count, b.count))
  }

  /// The number of bits that are set.
  public func countOfBits(_ words: UnsafeBufferPointer<UInt64>) -> Int {
    guard let first = words.baseAddress else { return 0 }
    return table.pointee.count_bits(first, words.count)
  }

  /// Asks the processor for values that will be read soon.
  public func prefetch(_ values: UnsafeBufferPointer<Float>) {
    if let first = values.baseAddress { nf_prefetch(first, 4 * values.count) }
  }

  /// Extends a running log-sum-exp by `products[j]·scale·columnScale[j]` (arXiv 1805.02867).
  ///
  /// - Parameter columnScale: one factor per column, as long as `products`; nil is all ones.
  func extend(
    _ state: inout LogSumExp, products: UnsafeBufferPointer<Float>, scale: Float,
    columnScale: UnsafeBufferPointer<Float>?
  ) {
    guard let p = products.baseAddress else { return }
    table.pointee.log_sum_exp_update(
      p, columnScale?.baseAddress, scale, products.count, &state.maximum, &state.sum)
  }

  /// LayerNorm (Ba et al. 2016, arXiv 1607.06450) of `x + residual` over rows of `gamma.count`; `out` may be `x`.
  public func layerNorm(
    _ x: UnsafePointer<Float>, residual: UnsafePointer<Float>?, gamma: UnsafeBufferPointer<Float>,
    beta: UnsafeBufferPointer<Float>, epsilon: Float, rows: Int, into out: UnsafeMutablePointer<Float>
  ) {
    precondition(gamma.count == beta.count, "LayerNorm has \(gamma.count) gains and \(beta.count) biases")
    guard let g = gamma.baseAddress, let b = beta.baseAddress else { return }
    table.pointee.layer_norm(x, residual, g, b, epsilon, rows, gamma.count, out)
  }

  /// Self-attention of one sequence: `qkv` is [length, 3·heads·headWidth], `out` [length, heads·headWidth].
  ///
  /// - Parameter scratch: at least ``attentionScratch(length:headWidth:)`` floats.
  public func attention(
    _ qkv: UnsafePointer<Float>, length: Int, heads: Int, headWidth: Int, scale: Float,
    scratch: UnsafeMutablePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) {
    table.pointee.attention(qkv, length, heads, headWidth, scale, scratch, out)
  }

  public static func attentionScratch(length: Int, headWidth: Int) -> Int {
    nf_attention_scratch(length, headWidth)
  }

  /// The mean of `rows` rows of `out.count` floats.
  public func mean(_ x: UnsafePointer<Float>, rows: Int, into out: UnsafeMutableBufferPointer<Float>) {
    guard let o = out.baseAddress else { return }
    table.pointee.mean_rows(x, rows, out.count, o)
  }

  /// The largest value of each column over `rows` rows of `out.count` floats.
  public func maximum(_ x: UnsafePointer<Float>, rows: Int, into out: UnsafeMutableBufferPointer<Float>) {
    guard let o = out.baseAddress else { return }
    table.pointee.max_rows(x, rows, out.count, o)
  }
}
