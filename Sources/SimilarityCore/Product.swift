import COneDNN

/// The three products of a loss and its gradients, on the calling thread. Matrices are row-major.
///
/// Each returns false when the matrix library fails, which no values cause.
// SAFETY: callers pass pointers to whole matrices of the stated shapes.
public enum Product {
  /// products[i, j] = Σ_d left[i, d]·right[j, d]: left [rows, inner], right [columns, inner], products [rows, stride].
  public static func ofRows(
    _ left: UnsafePointer<Float>, rows: Int, _ right: UnsafePointer<Float>, columns: Int, inner: Int,
    into products: UnsafeMutablePointer<Float>, stride: Int
  ) -> Bool {
    nf_product_transposed(left, Int64(rows), right, Int64(columns), Int64(inner), products, Int64(stride)) == 0
  }

  /// out[i, c] += Σ_j weights[i, j]·rows[j, c]: weights [count, stride], rows [inner, columns], out [count, columns].
  public static func add(
    weights: UnsafePointer<Float>, count: Int, stride: Int, rows: UnsafePointer<Float>, inner: Int, columns: Int,
    to out: UnsafeMutablePointer<Float>
  ) -> Bool {
    nf_product_accumulate(weights, Int64(count), Int64(stride), rows, Int64(inner), Int64(columns), out) == 0
  }

  /// out[j, c] += Σ_i weights[i, j]·rows[i, c]: weights [inner, stride], rows [inner, columns], out [count, columns].
  public static func addTransposed(
    weights: UnsafePointer<Float>, count: Int, stride: Int, rows: UnsafePointer<Float>, inner: Int, columns: Int,
    to out: UnsafeMutablePointer<Float>
  ) -> Bool {
    nf_product_transposed_accumulate(
      weights, Int64(count), Int64(stride), rows, Int64(inner), Int64(columns), out) == 0
  }
}
