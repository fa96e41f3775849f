import CKernels
import COneDNN

/// Many queries against tiles of records at once, through the matrix unit: 32-bit integer products, exact.
// SAFETY: the packed queries are written in the initialiser only.
public final class CodeBatch: @unchecked Sendable {
  /// Records of one tile.
  public static let rowsPerTile = 64

  public let count: Int
  /// Products of a tile.
  public var productsPerTile: Int { Self.rowsPerTile * (hasLower ? 2 : 1) * count }
  private let records: CodeRecords
  private let batch: OpaquePointer
  /// Whether the lower halves of the queries' codes take part, which doubles the products.
  private let hasLower: Bool
  private let isDot: Bool
  private let sums: [Int32]
  /// One value a query each: steps, errors, slack, linear slack, slack by the square, norms.
  private let values: [Float]
  /// [cells, queries].
  private let cells: [Float]

  /// - Returns: nil when the matrix library fails.
  // SAFETY: a query has a term or a distance for every cell and `padded` codes in each half.
  public init?(_ queries: [CodeQuery], for records: CodeRecords) {
    let raw = queries.map(\.raw.pointee)
    count = queries.count
    self.records = records
    let isDot = records.metric == .dot
    // Seven bits of a query are enough unless it is far from the mean and near to a centroid.
    let coarse = raw.count { query in
      let nearest = query.reach.map { reach in (0..<records.coarse.count).reduce(.infinity) { min($0, reach[$1]) } }
      return query.upper_error > 0.004 * (nearest ?? query.norm) && query.upper_error.isFinite
    }
    let hasLower = 2 * coarse > raw.count
    self.hasLower = hasLower
    self.isDot = isDot
    sums = raw.map { hasLower ? $0.sum : $0.upper_sum }
    values =
      raw.map { hasLower ? $0.step : 128 * $0.step } + raw.map { hasLower ? $0.error : $0.upper_error }
      + raw.map(\.slack) + raw.map(\.slack_linear) + raw.map(\.slack_square) + raw.map(\.norm)
    cells = [Float](unsafeUninitializedCapacity: records.coarse.count * raw.count) { cells, initialized in
      for (index, query) in raw.enumerated() {
        guard let source = isDot ? query.terms : query.reach else { continue }
        for cell in 0..<records.coarse.count { cells[cell * raw.count + index] = source[cell] }
      }
      initialized = records.coarse.count * raw.count
    }
    var codes: [Int8] = []
    codes.reserveCapacity((hasLower ? 2 : 1) * queries.count * records.padded)
    for query in queries { codes += UnsafeBufferPointer(start: query.upper, count: records.padded) }
    if hasLower {
      for query in queries { codes += UnsafeBufferPointer(start: query.lower, count: records.padded) }
    }
    guard
      let made = nf_code_batch_create(
        codes, Int64(codes.count / records.padded), Int64(records.padded), Int64(Self.rowsPerTile),
        Int64(records.padded))
    else { return nil }
    batch = made
  }

  deinit { nf_code_batch_destroy(batch) }

  /// The pairs of a live record of a tile and a query whose key may reach the query's threshold.
  ///
  /// - Parameters:
  ///   - first: the tile's first slot, a multiple of ``rowsPerTile``.
  ///   - live: a bit for each slot of the tile.
  ///   - products: scratch of ``productsPerTile`` values.
  ///   - hits: room for rowsPerTile · count.
  /// - Returns: how many; nil when the matrix library fails.
  // SAFETY: the tile lies inside the records, whose slots are a multiple of the tile's.
  public func hits(
    in first: Int, live: UInt64, thresholds: UnsafePointer<Float>, products: UnsafeMutablePointer<Int32>,
    into hits: UnsafeMutablePointer<CodeHit>, _ kernels: Kernels
  ) -> Int? {
    guard first >= 0, first % Self.rowsPerTile == 0, first + Self.rowsPerTile <= records.slots else { return nil }
    let start = records.raw.base + first * records.padded
    let isDone: Bool
    if records.raw.planes == 1 {
      isDone = nf_code_batch_product(batch, start, products) == 0
    } else {
      isDone = withUnsafeTemporaryAllocation(byteCount: Self.rowsPerTile * records.padded, alignment: 64) { tile in
        guard let rows = tile.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
        for row in 0..<Self.rowsPerTile where live >> UInt64(row) & 1 == 1 {
          kernels.table.pointee.code_unpack(start + row * records.padded, records.padded, rows + row * records.padded)
        }
        return nf_code_batch_product(batch, rows, products) == 0
      }
    }
    guard isDone else { return nil }
    var live = live
    return values.withUnsafeBufferPointer { values in
      sums.withUnsafeBufferPointer { sums in
        cells.withUnsafeBufferPointer { cells in
          guard let v = values.baseAddress else { return 0 }
          var queries = nf_tile_queries(
            steps: v, errors: v + count, thresholds: thresholds, slack: v + 2 * count, slack_linear: v + 3 * count,
            slack_square: v + 4 * count, norms: isDot ? v + 5 * count : nil, sums: sums.baseAddress,
            cells: cells.baseAddress, count: count, has_lower: hasLower ? 1 : 0)
          return kernels.table.pointee.code_select(
            &records.raw, UInt32(first), &live, Self.rowsPerTile, products, (hasLower ? 2 : 1) * count, &queries, hits)
        }
      }
    }
  }
}
