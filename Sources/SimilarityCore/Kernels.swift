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
  public static let names = ["baseline", "neon", "avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx"]

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
}
