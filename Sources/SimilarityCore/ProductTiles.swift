import COneDNN

/// The matrix library refused a product; never caused by values.
public struct ProductFailure: Error, Sendable {
  public init() {}
}

/// Products of all rows of one matrix with all rows of another, tile by tile: the whole matrix is never held.
///
/// All three jobs stand on this: logits of a loss, similarities of sentences, candidates of a search.
public struct ProductTiles: Sendable {
  /// 64 × 512 products are 128 KiB: they stay in the second-level cache until they are used.
  static let rowsPerTile = 64
  static let columnsPerTile = 512

  /// One tile of `left · rightᵀ`.
  public struct Tile {
    /// The rows of `left` and of `right` that the tile covers.
    public let rows: Range<Int>
    public let columns: Range<Int>
    let products: UnsafeBufferPointer<Float>

    /// Products of row `row` (one of ``rows``) with every one of ``columns``.
    public func products(ofRow row: Int) -> UnsafeBufferPointer<Float> {
      let start = (row - rows.lowerBound) * columns.count
      return UnsafeBufferPointer(rebasing: products[start..<start + columns.count])
    }
  }

  /// Calls `body` for each tile, row blocks outermost.
  ///
  /// - Parameters: `left` is [n, inner], `right` [m, inner], both row-major.
  /// - Throws: ``ProductFailure`` when the matrix library fails, or what `body` throws.
  public static func forEach(left: Matrix, right: Matrix, _ body: (Tile) throws -> Void) throws {
    guard left.columns == right.columns, left.columns > 0 else { throw ProductFailure() }
    let inner = left.columns
    try withUnsafeTemporaryAllocation(of: Float.self, capacity: rowsPerTile * columnsPerTile) { scratch in
      try left.values.withUnsafeBufferPointer { l in
        try right.values.withUnsafeBufferPointer { r in
          for top in stride(from: 0, to: left.rows, by: rowsPerTile) {
            let rows = top..<min(top + rowsPerTile, left.rows)
            for start in stride(from: 0, to: right.rows, by: columnsPerTile) {
              let columns = start..<min(start + columnsPerTile, right.rows)
              // SAFETY: both ranges lie inside their matrices, and the tile fits in `scratch` by its constants.
              guard let l0 = l.baseAddress, let r0 = r.baseAddress, let s0 = scratch.baseAddress,
                nf_product_transposed(
                  l0 + top * inner, Int64(rows.count), r0 + start * inner, Int64(columns.count), Int64(inner), s0,
                  Int64(columns.count)) == 0
              else { throw ProductFailure() }
              let products = UnsafeBufferPointer(rebasing: scratch[..<(rows.count * columns.count)])
              try body(Tile(rows: rows, columns: columns, products: products))
            }
          }
        }
      }
    }
  }

  /// The matrix library's version and instruction set.
  public static var libraryDescription: String { String(cString: nf_onednn_description()) }
}
