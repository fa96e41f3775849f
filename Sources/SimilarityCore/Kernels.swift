import CKernels

/// The innermost loops in the variant of one instruction set.
///
/// A result depends on the arguments alone, so that a row gives the same bytes alone and in any batch.
// SAFETY: the table is a constant of the program.
public struct Kernels: @unchecked Sendable {
  let table: UnsafePointer<nf_kernels>

  /// The best variant that this processor can run.
  public static let active = Kernels(table: nf_kernels_active())

  /// The names of all variants, of which a processor can run only some; later ones are preferred.
  public static let names = ["baseline", "neon", "avx2", "avx512", "avx512_vnni", "avx512_bf16"]

  private init(table: UnsafePointer<nf_kernels>) {
    self.table = table
  }

  /// The variant of that name; nil when it is unknown or this processor cannot run it.
  public init?(named name: String) {
    guard let table = nf_kernels_named(name) else { return nil }
    self.table = table
  }

  /// The name of the variant, one of ``names``.
  public var name: String { String(cString: table.pointee.name) }

  /// Whether the processor has products of bf16. Without them they are no faster than those of f32.
  public var multipliesBF16: Bool { table.pointee.multiplies_bf16 != 0 }

  /// Σ aᵢ·bᵢ over the length of the shorter vector; each product and the sum are in f64.
  public func dot(_ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>) -> Double {
    guard let a0 = a.baseAddress, let b0 = b.baseAddress else { return 0 }
    return table.pointee.dot_f64(a0, b0, min(a.count, b.count))
  }

  /// Σ (aᵢ − bᵢ)² over the length of the shorter vector, in f64.
  public func squaredDistance(_ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>) -> Double {
    guard let a0 = a.baseAddress, let b0 = b.baseAddress else { return 0 }
    return table.pointee.distance_f64(a0, b0, min(a.count, b.count))
  }

  /// The number of bits that are set in `words`.
  public func countOfBits(_ words: UnsafeBufferPointer<UInt64>) -> Int {
    guard let first = words.baseAddress else { return 0 }
    return table.pointee.count_bits(first, words.count)
  }

  /// Prefetches values that will be read soon.
  public func prefetch(_ values: UnsafeBufferPointer<Float>) {
    if let first = values.baseAddress { nf_prefetch(first, 4 * values.count) }
  }

  /// Extends a running log-sum-exp by `products[j]·scale·columnScale[j]` (Milakov & Gimelshein 2018, arXiv 1805.02867).
  ///
  /// - Parameter columnScale: one factor per column, as long as `products`; nil stands for ones.
  func extend(
    _ state: inout LogSumExp, products: UnsafeBufferPointer<Float>, scale: Float,
    columnScale: UnsafeBufferPointer<Float>?
  ) {
    guard let p = products.baseAddress else { return }
    table.pointee.log_sum_exp_update(
      p, columnScale?.baseAddress, scale, products.count, &state.maximum, &state.sum)
  }

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

  /// Self-attention of one sequence (Vaswani et al. 2017, section 3.2): softmax(Q·Kᵀ·scale)·V for each head.
  ///
  /// - Parameters:
  ///   - qkv: [length, 3·heads·headWidth], the queries, keys and values of each token.
  ///   - part: the heads to compute; nil for all.
  ///   - scratch: at least ``attentionScratch(length:headWidth:)`` floats.
  ///   - out: [length, heads·headWidth].
  public func attention(
    _ qkv: UnsafePointer<Float>, length: Int, heads: Int, part: Range<Int>? = nil, headWidth: Int, scale: Float,
    scratch: UnsafeMutablePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) {
    let part = part ?? 0..<heads
    table.pointee.attention(qkv, length, heads, part.lowerBound, part.count, headWidth, scale, scratch, out)
  }

  /// The number of floats of scratch memory that ``attention(_:length:heads:part:headWidth:scale:scratch:into:)`` needs.
  public static func attentionScratch(length: Int, headWidth: Int) -> Int {
    nf_attention_scratch(length, headWidth)
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
