import COneDNN

/// Rows that take part in many products, repacked once for the matrix unit: about a tenth faster than ``Product/ofRows``.
// SAFETY: packing writes to one tile a call, and every tile is packed before the first product; products only read.
public final class PackedRows: @unchecked Sendable {
  /// Rows of one tile.
  public static let rowsPerTile = 512

  public let tiles: Int
  /// Rows that the left side of a product must have.
  public let leftRows: Int
  private let packed: OpaquePointer
  // The shim reads from the rows while it packs.
  private let matrix: Matrix

  /// Packs the whole tiles of `matrix`; rows after the last whole tile are left out.
  ///
  /// - Parameter stride: values from one row of products to the next.
  /// - Returns: nil when there is no whole tile, or when the library has no packed form for it.
  public init?(_ matrix: Matrix, leftRows: Int, stride: Int, loop: ParallelLoop) {
    let count = matrix.rows / Self.rowsPerTile
    guard count > 0, leftRows > 0, stride >= Self.rowsPerTile else { return nil }
    let made = matrix.values.withUnsafeBufferPointer { values -> OpaquePointer? in
      guard
        let packed = nf_packed_create(
          values.baseAddress, Int64(matrix.columns), Int64(Self.rowsPerTile), Int64(count), Int64(leftRows),
          Int64(stride))
      else { return nil }
      do {
        try loop.forEach(count) { nf_packed_pack(packed, Int64($0)) == 0 }
        return packed
      } catch {
        nf_packed_destroy(packed)
        return nil
      }
    }
    guard let made else { return nil }
    packed = made
    tiles = count
    self.leftRows = leftRows
    self.matrix = matrix
  }

  deinit { nf_packed_destroy(packed) }

  /// products[i, j] = Σ_d left[i, d]·row[tile·512 + j, d] for ``leftRows`` rows of `left`.
  ///
  /// - Returns: false when the matrix library fails, which no values cause.
  // SAFETY: `left` has leftRows rows, `products` room for as many of `stride`; the tile is checked.
  public func product(
    tile: Int, _ left: UnsafePointer<Float>, into products: UnsafeMutablePointer<Float>
  ) -> Bool {
    guard tile >= 0, tile < tiles else { return false }
    return nf_packed_product(packed, Int64(tile), left, products) == 0
  }
}
