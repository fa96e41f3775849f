import CKernels
import COneDNN

/// Compares many queries with tiles of records at once by matrix products, which are exact in 32-bit integers.
// SAFETY: the packed queries are written in the initialiser only.
public final class CodeBatch: @unchecked Sendable {
  /// The number of records in a tile.
  public static let rowsPerTile = 64
  /// The inner dimension of the products is a multiple of this.
  private static let unit = 16

  /// The number of queries.
  public let count: Int
  private let records: CodeRecords
  private let batch: OpaquePointer
  /// Whether there are products with the lower halves of the queries' codes as well, which doubles the number of
  /// products.
  private let hasLower: Bool
  private let isDot: Bool
  private let sums: [Int32]
  /// Six arrays of one value per query: steps, errors, constant, linear and quadratic slack, norms.
  private let values: [Float]
  /// [cells, queries]: terms under the dot product, otherwise distances from the centroids.
  private let cells: [Float]

  /// - Parameters:
  ///   - queries: at least one query, all made for `records`.
  ///   - records: what they are compared with.
  /// - Throws: ``ProductFailure`` when the matrix library fails.
  // SAFETY: a query has a term or a distance for every cell and `padded` codes in each half.
  public init(_ queries: [CodeQuery], for records: CodeRecords) throws(ProductFailure) {
    let raw = queries.map(\.raw.pointee)
    count = queries.count
    self.records = records
    let isDot = records.metric == .dot
    // The upper 8 of the 15 bits of a query are enough unless its error is large relative to its distance from the
    // nearest centroid, which is so for a query far from the mean and near to a centroid.
    let coarse = raw.count { query in
      let nearest = query.reach.map { reach in (0..<records.coarse.count).reduce(.infinity) { min($0, reach[$1]) } }
      return query.upper_error > 0.004 * (nearest ?? query.norm) && query.upper_error.isFinite
    }
    let hasLower = 2 * coarse > raw.count
    self.hasLower = hasLower
    self.isDot = isDot
    sums = raw.map { 128 &* (hasLower ? $0.sum : $0.upper_sum) }
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
    // Codes after the last dimension are 0.
    let inner = min(records.padded, (records.dimension + Self.unit - 1) / Self.unit * Self.unit)
    codes.reserveCapacity((hasLower ? 2 : 1) * queries.count * inner)
    for query in queries { codes += UnsafeBufferPointer(start: query.upper, count: inner) }
    if hasLower {
      for query in queries { codes += UnsafeBufferPointer(start: query.lower, count: inner) }
    }
    var made: OpaquePointer?
    try ProductFailure.check(
      nf_code_batch_create(
        codes, Int64(codes.count / inner), Int64(inner), Int64(Self.rowsPerTile), Int64(records.padded), &made))
    guard let made else { throw ProductFailure() }
    batch = made
  }

  deinit { nf_code_batch_destroy(batch) }

  /// Finds the pairs of a row of `cell` and a query whose key may reach the query's threshold.
  ///
  /// - Parameters:
  ///   - slots: at most ``rowsPerTile`` slots, all of `cell`.
  ///   - thresholds: one value per query.
  ///   - scratch: scratch memory that no other caller uses at the same time.
  ///   - hits: has room for rowsPerTile · count hits.
  /// - Returns: the number of hits.
  /// - Throws: ``ProductFailure`` when the matrix library fails.
  // SAFETY: the slots are inside the records; the scratch was made for this batch.
  public func hits(
    of slots: UnsafeBufferPointer<UInt32>, in cell: Int, thresholds: UnsafePointer<Float>, _ scratch: Scratch,
    into hits: UnsafeMutablePointer<CodeHit>, _ kernels: Kernels
  ) throws(ProductFailure) -> Int {
    precondition(slots.count <= Self.rowsPerTile, "\(slots.count) rows in a tile of \(Self.rowsPerTile)")
    precondition(cell < records.coarse.count, "there is no cell \(cell)")
    guard let first = slots.baseAddress else { return 0 }
    for (row, slot) in slots.enumerated() {
      let record = records.raw.pointee.base + Int(slot) * records.padded
      let target = scratch.rows + row * records.padded
      if records.raw.pointee.planes == 1 {
        target.update(from: record, count: records.padded)
      } else {
        kernels.table.pointee.code_unpack(record, records.padded, target)
      }
    }
    try ProductFailure.check(nf_code_batch_product(batch, scratch.rows, scratch.products))
    return values.withUnsafeBufferPointer { values in
      sums.withUnsafeBufferPointer { sums in
        cells.withUnsafeBufferPointer { cells in
          guard let v = values.baseAddress else { return 0 }
          var queries = nf_tile_queries(
            steps: v, errors: v + count, thresholds: thresholds, slack: v + 2 * count, slack_linear: v + 3 * count,
            slack_square: v + 4 * count, norms: isDot ? v + 5 * count : nil, sums: sums.baseAddress,
            cells: cells.baseAddress, count: count, has_lower: hasLower ? 1 : 0)
          return kernels.table.pointee.code_select(
            records.raw, first, slots.count, UInt32(cell), scratch.products, (hasLower ? 2 : 1) * count, &queries,
            scratch.least, hits)
        }
      }
    }
  }

  /// The scratch memory in which a tile is unpacked and multiplied.
  // SAFETY: its size is that of one batch, and one caller uses it at a time.
  public final class Scratch {
    let rows: UnsafeMutablePointer<UInt8>
    let products: UnsafeMutablePointer<Int32>
    let least: UnsafeMutablePointer<Float>

    public init(for batch: CodeBatch) {
      rows = .allocate(capacity: CodeBatch.rowsPerTile * batch.records.padded)
      rows.initialize(repeating: 0, count: CodeBatch.rowsPerTile * batch.records.padded)
      products = .allocate(capacity: CodeBatch.rowsPerTile * (batch.hasLower ? 2 : 1) * batch.count)
      least = .allocate(capacity: batch.count)
    }

    deinit {
      rows.deallocate()
      products.deallocate()
      least.deallocate()
    }
  }
}
