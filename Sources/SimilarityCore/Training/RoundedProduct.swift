import COneDNN

/// A matrix of bf16 on one side of a product, which may be given as its transpose.
// SAFETY: callers pass pointers to whole matrices of the stated shapes.
public struct RoundedMatrix {
  let start: UnsafePointer<UInt16>
  /// The number of values from one row of what is in memory to the next.
  let stride: Int
  let isTransposed: Bool

  public init(_ start: UnsafePointer<UInt16>, stride: Int, isTransposed: Bool = false) {
    self.start = start
    self.stride = stride
    self.isTransposed = isTransposed
  }
}

extension Product {
  /// out[i, j] += Σ_d left[i, d]·right[d, j] with sums in f32: left [rows, inner], right [inner, columns], out [rows, columns].
  public static func add(
    _ left: RoundedMatrix, _ right: RoundedMatrix, rows: Int, columns: Int, inner: Int,
    to out: UnsafeMutablePointer<Float>, stride: Int
  ) throws(ProductFailure) {
    let status = nf_product_bf16(
      left.start, left.isTransposed ? 1 : 0, Int64(left.stride), right.start, right.isTransposed ? 1 : 0,
      Int64(right.stride), Int64(rows), Int64(columns), Int64(inner), out, Int64(stride))
    guard status == NF_SUCCESS else { throw ProductFailure(status: status) }
  }

  /// Rounds to the nearest bf16, ties to even. What is not a number stays so.
  public static func round(
    _ x: UnsafePointer<Float>, count: Int, into out: UnsafeMutablePointer<UInt16>
  ) {
    for index in 0..<count {
      let bits = x[index].bitPattern
      let rounded = bits &+ 0x7fff &+ (bits >> 16 & 1)
      let isNumber = bits & 0x7fff_ffff <= 0x7f80_0000
      out[index] = UInt16(truncatingIfNeeded: (isNumber ? rounded : bits | 0x0040_0000) >> 16)
    }
  }
}
