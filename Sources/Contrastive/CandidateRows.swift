import SimilarityCore

/// Rows with the factors that turn raw dot products into similarities, so that no normalised copy is made.
struct ScaledRows: Sendable {
  /// The rows as given; one whose norm is extreme is divided by it, since its raw products could leave the range of f32.
  let matrix: Matrix
  /// t with t·row of length 1; nil where rows are taken as they are.
  let factors: [Float]?
  /// t in f64.
  private let exactFactors: [Double]?
  /// (1/‖row as given‖) / t: 1 except for extreme rows.
  private let ratios: [Int: Double]

  /// Norms of rows that are not extreme.
  private static let safeNorms = 0x1p-40...0x1p40

  /// - Throws: ``ContrastiveError`` naming `field` and the row when a row that must be normalised is zero.
  init(_ matrix: Matrix, normalize: Bool, field: String, kernels: Kernels) throws(ContrastiveError) {
    guard normalize else {
      self.matrix = matrix
      factors = nil
      exactFactors = nil
      ratios = [:]
      return
    }
    var conditioned = matrix
    var exact: [Double] = []
    var ratios: [Int: Double] = [:]
    exact.reserveCapacity(matrix.rows)
    for (row, norm) in matrix.norms(kernels: kernels).enumerated() {
      guard norm > 0 else {
        throw ContrastiveError(field: field, row: row, reason: "a row of zeros cannot be normalised")
      }
      if Self.safeNorms.contains(norm) {
        exact.append(1 / norm)
      } else {
        conditioned.scaleRow(row, by: 1 / norm)
        exact.append(1)
        ratios[row] = 1 / norm
      }
    }
    self.matrix = conditioned
    self.ratios = ratios
    exactFactors = exact
    factors = exact.map { Float($0) }
  }

  var count: Int { matrix.rows }

  func factor(_ row: Int) -> Float { factors?[row] ?? 1 }

  func exactFactor(_ row: Int) -> Double { exactFactors?[row] ?? 1 }

  /// Turns v = t·∂ℓ/∂x̂ of row `row` into the derivative with respect to the row as given:
  /// through x̂ = x/‖x‖ that is (v − (v·x̂)·x̂), times `scale`.
  ///
  /// - Returns: false when the result is not finite in f32.
  func pullBack(_ v: UnsafeMutableBufferPointer<Float>, row: Int, scale: Double) -> Bool {
    var isFinite = true
    matrix.withRow(row) { x in
      precondition(x.count == v.count, "a derivative of \(v.count) values for a row of \(x.count)")
      let along =
        factors == nil ? 0 : Kernels.active.dot(UnsafeBufferPointer(v), x) * exactFactor(row) * exactFactor(row)
      let factor = scale * (ratios[row] ?? 1)
      for index in v.indices {
        v[index] = Float((Double(v[index]) - along * Double(x[index])) * factor)
        isFinite = isFinite && v[index].isFinite
      }
    }
    return isFinite
  }
}

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

  /// - Parameter parts: the blocks in the order of their columns. Empty blocks are skipped.
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

  /// Calls `body` with the address of ``factors``, or nil.
  func withFactors<Result>(_ body: (UnsafePointer<Float>?) -> Result) -> Result {
    guard let factors else { return body(nil) }
    return factors.withUnsafeBufferPointer { body($0.baseAddress) }
  }

  /// Packs every block for products of `rows` anchors into rows of `stride` logits; nil for a block where that does not pay.
  ///
  /// - Parameters:
  ///   - anchors: how many anchors there are in all.
  ///   - tiesMatter: logits are compared with each other, so those of equal candidates must be equal.
  /// - Throws: `ProductFailure` when the matrix library fails.
  func packed(
    forRows rows: Int, of anchors: Int, stride: Int?, tiesMatter: Bool, _ loop: ParallelLoop
  ) throws(ProductFailure) -> [PackedRows?] {
    // Packing costs as much as the products of a few anchors.
    guard anchors >= 4 * rows || anchors >= 512, anchors >= rows else { return blocks.map { _ in nil } }
    return try blocks.map { block throws(ProductFailure) in
      try PackedRows(
        block.rows.matrix, leftRows: rows, stride: stride ?? Self.columnsPerTile, tiesMatter: tiesMatter, loop: loop)
    }
  }

  /// products[i, j] of `rows` anchors from `queries` on with a tile's rows.
  ///
  /// - Throws: `ProductFailure` when the matrix library fails.
  // SAFETY: `queries` has `rows` rows, `products` room for as many of `stride`; the tile lies in its block.
  func products(
    _ tile: Tile, _ packed: [PackedRows?], _ queries: UnsafePointer<Float>, rows: Int,
    into products: UnsafeMutablePointer<Float>, stride: Int
  ) throws(ProductFailure) {
    let matrix = blocks[tile.block].rows.matrix
    if let packed = packed[tile.block], packed.leftRows == rows, tile.count == Self.columnsPerTile {
      return try packed.product(tile: tile.first / Self.columnsPerTile, queries, into: products)
    }
    try matrix.withBaseAddress { keys throws(ProductFailure) in
      try Product.ofRows(
        queries, rows: rows, keys + tile.first * matrix.columns, columns: tile.count, inner: matrix.columns,
        into: products, stride: stride)
    }
  }
}

/// Candidates of one anchor alone: its positive where keys are not shared, and its own negatives.
struct OwnCandidates: Sendable {
  /// The keys and for each anchor which of them; nil where every key is a column.
  var positives: (keys: ScaledRows, indices: [Int])?
  var negatives: ScaledRows?
  var negativesPerRow = 0

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
