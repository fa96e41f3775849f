import SimilarityCore

/// The rows that every anchor is compared with, in several blocks: keys, then shared negatives, then the queue.
struct CandidateRows: Sendable {
  /// Columns of one tile: with 128 anchors its products are 256 KiB, which stay in the second-level cache.
  static let columnsPerTile = PackedRows.rowsPerTile

  struct Block: Sendable {
    let rows: ScaledRows
    /// The column of its first row.
    let start: Int
    /// The loss is to be differentiated with respect to these rows.
    let wantsGradient: Bool
  }

  /// Columns start ..< start + count of the logits: rows first ..< first + count of a block.
  struct Tile: Sendable {
    let block: Int
    let first: Int
    let count: Int
    let start: Int
  }

  let blocks: [Block]
  let tiles: [Tile]
  /// All columns.
  let count: Int
  /// t of every column; nil where rows are taken as they are.
  let factors: [Float]?

  /// Packs every block for products of `rows` anchors into rows of `stride` logits; nil for a block where that does not pay.
  ///
  /// - Parameter anchors: how many anchors there are in all.
  func packed(forRows rows: Int, of anchors: Int, stride: Int?, _ loop: ParallelLoop) -> [PackedRows?] {
    // Packing costs as much as the products of a few anchors.
    guard anchors >= 4 * rows || anchors >= 512, anchors >= rows else { return blocks.map { _ in nil } }
    return blocks.map {
      PackedRows($0.rows.matrix, leftRows: rows, stride: stride ?? Self.columnsPerTile, loop: loop)
    }
  }

  /// products[i, j] of `rows` anchors from `queries` on with a tile's rows.
  ///
  /// - Returns: false when the matrix library fails.
  // SAFETY: `queries` has `rows` rows, `products` room for as many of `stride`; the tile lies in its block.
  func products(
    _ tile: Tile, _ packed: [PackedRows?], _ queries: UnsafePointer<Float>, rows: Int,
    into products: UnsafeMutablePointer<Float>, stride: Int
  ) -> Bool {
    let matrix = blocks[tile.block].rows.matrix
    if let packed = packed[tile.block], packed.leftRows == rows, tile.count == Self.columnsPerTile {
      return packed.product(tile: tile.first / Self.columnsPerTile, queries, into: products)
    }
    return matrix.values.withUnsafeBufferPointer { keys in
      guard let first = keys.baseAddress else { return false }
      return Product.ofRows(
        queries, rows: rows, first + tile.first * matrix.columns, columns: tile.count, inner: matrix.columns,
        into: products, stride: stride)
    }
  }

  init(_ parts: [(rows: ScaledRows, wantsGradient: Bool)]) {
    var blocks: [Block] = []
    var tiles: [Tile] = []
    var start = 0
    var factors: [Float] = []
    for part in parts where part.rows.count > 0 {
      for first in stride(from: 0, to: part.rows.count, by: Self.columnsPerTile) {
        let count = min(Self.columnsPerTile, part.rows.count - first)
        tiles.append(Tile(block: blocks.count, first: first, count: count, start: start + first))
      }
      blocks.append(Block(rows: part.rows, start: start, wantsGradient: part.wantsGradient))
      factors += part.rows.factors ?? []
      start += part.rows.count
    }
    self.blocks = blocks
    self.tiles = tiles
    self.factors = factors.isEmpty ? nil : factors
    count = start
  }
}

/// Candidates of one anchor alone: its positive where the batch's keys are none, and its own negatives.
struct OwnCandidates: Sendable {
  /// The keys and for each anchor which of them; nil where every key is a column.
  let positives: (keys: ScaledRows, indices: [Int])?
  let negatives: ScaledRows?
  let negativesPerRow: Int

  var countPerRow: Int { (positives == nil ? 0 : 1) + negativesPerRow }

  /// The rows of anchor `row`'s own candidates, in the order of their columns.
  func rows(of row: Int) -> [(rows: ScaledRows, index: Int)] {
    var all: [(rows: ScaledRows, index: Int)] = []
    if let positives { all.append((positives.keys, positives.indices[row])) }
    if let negatives {
      for offset in 0..<negativesPerRow { all.append((negatives, row * negativesPerRow + offset)) }
    }
    return all
  }
}
