import COneDNN

/// The library that computes matrix products.
public enum MatrixLibrary {
  /// Its version, and the instruction set that it uses on this processor.
  public static var description: String { String(cString: nf_onednn_description()) }
}

/// Why a product of matrices could not be computed. The cause is never in the values of the matrices.
public enum ProductFailure: Error, Sendable, Equatable, CustomStringConvertible {
  /// The matrix library could not get the memory that it needs beside the matrices.
  case outOfMemory
  /// The matrix library failed for another reason. `status` is its own code (oneDNN's `dnnl_status_t`); nil where that
  /// is not known.
  case library(status: Int32?)

  /// A failure of the library with an unknown status.
  public init() { self = .library(status: nil) }

  /// - Parameter status: what a function of the shim returned, other than `NF_SUCCESS`.
  public init(status: Int32) { self = status == NF_OUT_OF_MEMORY ? .outOfMemory : .library(status: status) }

  /// - Throws: the failure that `status` stands for, unless that is success.
  static func check(_ status: Int32) throws(ProductFailure) {
    guard status == NF_SUCCESS else { throw ProductFailure(status: status) }
  }

  public var description: String {
    switch self {
    case .outOfMemory: "the matrix library could not get memory"
    case .library(let status?): "the matrix library failed: \(String(cString: nf_onednn_status_name(status)))"
    case .library(nil): "the matrix library failed"
    }
  }
}

/// The three matrix products of a loss and its gradients, on the calling thread. Matrices are row-major, and `stride`
/// is the number of values from one row to the next. Each throws ``ProductFailure`` when the library fails.
// SAFETY: callers pass pointers to whole matrices of the stated shapes.
public enum Product {
  /// products[i, j] = Σ_d left[i, d]·right[j, d]: left [rows, inner], right [columns, inner], products [rows, stride].
  public static func ofRows(
    _ left: UnsafePointer<Float>, rows: Int, _ right: UnsafePointer<Float>, columns: Int, inner: Int,
    into products: UnsafeMutablePointer<Float>, stride: Int
  ) throws(ProductFailure) {
    try ProductFailure.check(
      nf_product_transposed(left, Int64(rows), right, Int64(columns), Int64(inner), products, Int64(stride)))
  }

  /// out[i, c] += Σ_j weights[i, j]·rows[j, c]: weights [count, stride], rows [inner, columns], out [count, columns].
  public static func add(
    weights: UnsafePointer<Float>, count: Int, stride: Int, rows: UnsafePointer<Float>, inner: Int, columns: Int,
    to out: UnsafeMutablePointer<Float>
  ) throws(ProductFailure) {
    try ProductFailure.check(
      nf_product_accumulate(weights, Int64(count), Int64(stride), rows, Int64(inner), Int64(columns), out))
  }

  /// out[j, c] += Σ_i weights[i, j]·rows[i, c]: weights [inner, stride], rows [inner, columns], out [count, columns].
  public static func addTransposed(
    weights: UnsafePointer<Float>, count: Int, stride: Int, rows: UnsafePointer<Float>, inner: Int, columns: Int,
    to out: UnsafeMutablePointer<Float>
  ) throws(ProductFailure) {
    try ProductFailure.check(
      nf_product_transposed_accumulate(weights, Int64(count), Int64(stride), rows, Int64(inner), Int64(columns), out))
  }
}

/// Rows that take part in many products and are therefore repacked once into the library's own layout. Products are
/// about a tenth faster than by ``Product/ofRows``.
// SAFETY: packing writes to one tile per call, and every tile is packed before the first product; products only read.
public final class PackedRows: @unchecked Sendable {
  /// The number of rows of a tile.
  public static let rowsPerTile = 512

  /// The number of whole tiles.
  public let tiles: Int
  /// The number of rows that the left side of a product must have.
  public let leftRows: Int
  private let packed: OpaquePointer
  // Packing reads from these rows.
  private let matrix: Matrix

  /// Packs the whole tiles of `matrix`; rows after the last whole tile are left out.
  ///
  /// - Parameters:
  ///   - leftRows: the number of rows of the left side of every product, at least 1.
  ///   - stride: the number of values from one row of products to the next; at least ``rowsPerTile`` where there is a
  ///     whole tile.
  ///   - tiesMatter: equal rows must have equal products, also with the rows that fill no tile, by ``Product/ofRows``.
  /// - Returns: nil when there is no whole tile, or when the library has no such packed form for this shape.
  /// - Throws: ``ProductFailure`` when the library fails.
  public init?(
    _ matrix: Matrix, leftRows: Int, stride: Int, tiesMatter: Bool, loop: ParallelLoop
  ) throws(ProductFailure) {
    precondition(leftRows > 0, "a product needs rows on its left side")
    let count = matrix.rows / Self.rowsPerTile
    guard count > 0 else { return nil }
    precondition(stride >= Self.rowsPerTile, "rows of products overlap")
    var made: OpaquePointer?
    try matrix.values.withUnsafeBufferPointer { values throws(ProductFailure) in
      let status = nf_packed_create(
        values.baseAddress, Int64(matrix.columns), Int64(Self.rowsPerTile), Int64(count), Int64(leftRows),
        Int64(stride), tiesMatter ? 1 : 0, &made)
      guard status != NF_NOT_SUPPORTED else { return }
      try ProductFailure.check(status)
      guard let packed = made else { throw ProductFailure() }
      do throws(ProductFailure) {
        try loop.forEachPiece(count) { tile throws(ProductFailure) in
          try ProductFailure.check(nf_packed_pack(packed, Int64(tile)))
        }
      } catch {
        nf_packed_destroy(packed)
        throw error
      }
    }
    guard let made else { return nil }
    packed = made
    tiles = count
    self.leftRows = leftRows
    self.matrix = matrix
  }

  deinit { nf_packed_destroy(packed) }

  /// products[i, j] = Σ_d left[i, d]·rows[tile·512 + j, d] for ``leftRows`` rows of `left`.
  ///
  /// - Throws: ``ProductFailure`` when the library fails.
  // SAFETY: `left` has leftRows rows, and `products` has room for as many of `stride` values; the tile is checked.
  public func product(
    tile: Int, _ left: UnsafePointer<Float>, into products: UnsafeMutablePointer<Float>
  ) throws(ProductFailure) {
    precondition((0..<tiles).contains(tile), "there is no tile \(tile) among \(tiles)")
    try ProductFailure.check(nf_packed_product(packed, Int64(tile), left, products))
  }
}
