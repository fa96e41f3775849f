import CKernels

/// A query in the form in which it is compared with records: its codes of 15 bits, and its distance from every centroid
/// (under the dot product, its product with every centroid). See ``CodeRecords`` for the algebra.
///
/// The mean of the coarse quantizer is subtracted before the query is coded; under the dot product it is not, and the
/// query's product with the mean is added to the terms instead.
// SAFETY: the buffers are written in the initialiser only.
public final class CodeQuery: @unchecked Sendable {
  /// A cell is near when its squared distance is at most this many times that of the nearest.
  private static let farthest: Float = 2

  let upper: UnsafeMutablePointer<Int8>
  let lower: UnsafeMutablePointer<Int8>
  /// The query as kernels see it, at a fixed address.
  let raw: UnsafeMutablePointer<nf_code_query>
  private let cells: UnsafeMutablePointer<Float>
  private let cellCount: Int

  /// - Parameters:
  ///   - query: as many values as the records have dimensions.
  ///   - norm: ‖query‖.
  ///   - metric: the meaning of keys; nil for that of the records. Records for the dot product can give Euclidean keys
  ///     as well.
  public init(
    _ query: UnsafeBufferPointer<Float>, norm: Double, for records: CodeRecords, metric: CodeMetric? = nil,
    _ kernels: Kernels
  ) {
    let metric = metric ?? records.metric
    let coarse = records.coarse
    let padded = records.padded
    let codes = UnsafeMutablePointer<Int8>.allocate(capacity: 2 * padded)
    codes.initialize(repeating: 0, count: 2 * padded)
    (upper, lower) = (codes, codes + padded)
    cellCount = coarse.count
    let room = CoarseQuantizer.room(coarse.count)
    cells = .allocate(capacity: 2 * room)
    raw = .allocate(capacity: 1)
    let isCosine = metric == .cosine
    guard isCosine ? norm > 0 : CoarseQuantizer.resolves(norm: norm) else {
      // The query is all zeros under the cosine, or its norm is out of the range of f32. All bounds are then infinite,
      // so that nothing is ruled out.
      cells.initialize(repeating: 0, count: 2 * room)
      raw.initialize(
        to: nf_code_query(
          upper: upper, lower: lower, step: 0, sum: 0, upper_sum: 0, error: .infinity, upper_error: .infinity,
          terms: UnsafePointer(cells), best: 0, reach: metric == .dot ? nil : UnsafePointer(cells + room),
          norm: .infinity,
          slack: .infinity, slack_linear: 0, slack_square: 0, weight: metric == .dot ? 0 : 1))
      return
    }
    let isDot = metric == .dot
    var made = nf_code_query()
    withUnsafeTemporaryAllocation(of: Float.self, capacity: coarse.stride) { z in
      let length = coarse.place(query, norm: norm, subtractingMean: !isDot, into: z, kernels)
      guard let first = z.baseAddress else { return }
      let terms = cells
      let reach = cells + room
      coarse.blocks.withUnsafeBufferPointer {
        kernels.table.pointee.code_query(
          first, coarse.stride, $0.baseAddress, coarse.count, isDot ? 1 : 0, upper, lower, terms, reach, &made)
      }
      // The rounding errors of the rotation and of sums in f32.
      let drift = coarse.drift * length
      let rounding = drift + 6e-7 * length
      made.error = Float((Double(made.error) + rounding) * 1.0001)
      made.upper_error = Float((Double(made.upper_error) + rounding) * 1.0001)
      // Records are scaled for distances, in which products have the factor 2.
      let half: Float = isDot ? 0.5 : 1
      (made.step, made.error, made.upper_error) = (half * made.step, half * made.error, half * made.upper_error)
      made.norm = half * Float(length * 1.0001)
      made.weight = isDot ? 0 : 1
      if isDot {
        let offset = coarse.mean.withUnsafeBufferPointer { kernels.dot($0, query) }
        for cell in 0..<coarse.count { terms[cell] += Float(offset) }
        made.best += Float(offset)
        made.slack = Float(
          (drift + coarse.sumRounding * length) * coarse.longest + 4e-7 * (abs(offset) + length * coarse.longest))
      } else {
        made.slack = Float(6 * drift * drift)
        made.slack_linear = Float(2 * drift)
        made.slack_square = Float(coarse.sumRounding)
      }
      made.terms = UnsafePointer(terms)
      made.reach = isDot ? nil : UnsafePointer(reach)
    }
    made.upper = UnsafePointer(upper)
    made.lower = UnsafePointer(lower)
    raw.initialize(to: made)
  }

  /// Writes the cells with the nearest centroids (under the dot product, with the largest products) to `out`, best
  /// first. Cells much farther away than the nearest are left out unless `includingFar` is true.
  ///
  /// - Returns: the number of cells, at most `count`.
  // SAFETY: `out` has room for `count` cells.
  public func nearestCells(
    _ count: Int, includingFar: Bool = false, into out: UnsafeMutablePointer<UInt32>, _ kernels: Kernels
  ) -> Int {
    // Terms are negated squared distances, or products.
    let least = includingFar || raw.pointee.reach == nil ? -Float.infinity : Self.farthest * raw.pointee.best
    return kernels.table.pointee.nearest_cells(raw.pointee.terms, cellCount, least, count, out)
  }

  /// Whether the centroid of `cell` is much farther away than that of `other`; never so under the dot product.
  public func isFarther(_ cell: Int, than other: Int) -> Bool {
    guard raw.pointee.reach != nil, let terms = raw.pointee.terms else { return false }
    return terms[cell] < 1.25 * terms[other]
  }

  deinit {
    upper.deallocate()
    cells.deallocate()
    raw.deallocate()
  }
}
