import CKernels
import COneDNN

/// Many queries against tiles of records at once, through the matrix unit: 32-bit integer products, exact.
// SAFETY: the packed queries are written in the initialiser only.
public final class CodeBatch: @unchecked Sendable {
  /// Records of one tile.
  public static let rowsPerTile = 64

  public let count: Int
  private let records: CodeRecords
  private let batch: OpaquePointer
  private let steps: [Float]
  private let norms: [Float]
  private let errors: [Float]
  private let biases: [Int32]

  /// - Returns: nil when the matrix library fails.
  public init?(_ queries: [CodeQuery], for records: CodeRecords) {
    count = queries.count
    self.records = records
    steps = queries.map(\.raw.step)
    norms = queries.map(\.raw.norm)
    errors = queries.map(\.raw.error)
    biases = queries.map(\.raw.bias)
    var codes = [Int8](repeating: 0, count: queries.count * records.padded)
    for (index, query) in queries.enumerated() {
      for column in 0..<records.padded { codes[index * records.padded + column] = query.codes[column] }
    }
    guard
      let made = nf_code_batch_create(
        codes, Int64(queries.count), Int64(records.padded), Int64(Self.rowsPerTile), Int64(records.padded))
    else { return nil }
    batch = made
  }

  deinit { nf_code_batch_destroy(batch) }

  /// The pairs of a live record of a tile and a query whose key may reach the query's threshold.
  ///
  /// - Parameters:
  ///   - first: the tile's first slot, a multiple of ``rowsPerTile``.
  ///   - live: a bit for each slot of the tile.
  ///   - products: scratch of rowsPerTile · count values.
  ///   - hits: room for rowsPerTile · count.
  /// - Returns: how many; nil when the matrix library fails.
  // SAFETY: the tile lies inside the records, whose slots are a multiple of the tile's.
  public func hits(
    in first: Int, live: UInt64, thresholds: UnsafePointer<Float>, products: UnsafeMutablePointer<Int32>,
    into hits: UnsafeMutablePointer<CodeHit>, _ kernels: Kernels
  ) -> Int? {
    guard first >= 0, first % Self.rowsPerTile == 0, first + Self.rowsPerTile <= records.slots else { return nil }
    let isDone = withUnsafeTemporaryAllocation(byteCount: Self.rowsPerTile * records.padded, alignment: 64) { tile in
      guard let rows = tile.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
      for row in 0..<Self.rowsPerTile where live >> UInt64(row) & 1 == 1 {
        kernels.table.pointee.code_unpack(
          records.raw.base + (first + row) * records.padded, records.padded, rows + row * records.padded)
      }
      return nf_code_batch_product(batch, rows, products) == 0
    }
    guard isDone else { return nil }
    var live = live
    return steps.withUnsafeBufferPointer { steps in
      norms.withUnsafeBufferPointer { norms in
        errors.withUnsafeBufferPointer { errors in
          biases.withUnsafeBufferPointer { biases in
            var queries = nf_tile_queries(
              steps: steps.baseAddress, norms: norms.baseAddress, errors: errors.baseAddress, thresholds: thresholds,
              biases: biases.baseAddress, count: count)
            return kernels.table.pointee.code_select(
              &records.raw, UInt32(first), &live, Self.rowsPerTile, products, count, &queries, hits)
          }
        }
      }
    }
  }
}
