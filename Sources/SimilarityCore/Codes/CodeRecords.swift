import CKernels
import Platform

/// The meaning of the key of a row for a query.
public enum CodeMetric: Sendable {
  /// −‖q − x‖² of directions, which is 2·cosine − 2.
  case cosine
  /// q·x.
  case dot
  /// −‖q − x‖².
  case euclidean
}

/// Vectors as bytes, one record per slot: the codes of the residual from the nearest centroid, and bounds of their
/// error. Each slot also has a list of neighbours.
///
/// Let x = c + r with centroid c and residual r, r̂ the residual that the codes stand for, and D = ‖q − c‖. Then
/// −‖q − x‖² = −D² + 2·(q − c)·r − ‖r‖². The query is coded once, not once for each centroid:
/// (q − c)·r̂ = q·r̂ − c·r̂, and the second product is known when the record is written. By Cauchy–Schwarz the error of
/// the key is at most 2·D·‖r − r̂‖ + 2·‖q − q̂‖·‖r̂‖, where q̂ is what the codes of the query stand for. It scales with
/// the residual. The stored bounds include all rounding. The same records give q·x = q·c + q·r, so that rows under the
/// dot product have distances as well.
// SAFETY: the memory of a slot is written by one caller at a time, before any list or live set names the slot; lists
// are atomic.
public final class CodeRecords: @unchecked Sendable {
  /// The largest number of slots, because lists name slots in 31 bits.
  public static let mostSlots = Int(UInt32.max >> 1) - 63
  /// Records of up to this many dimensions take one or two cache lines, which a walk reads as a whole.
  private static let mostUndivided = 128

  public let coarse: CoarseQuantizer
  /// The number of slots that there is room for, a multiple of 64.
  public let slots: Int
  /// The number of neighbours that a list has room for.
  public let mostNeighbors: Int
  /// The number of codes of a record, including those after the last dimension.
  let padded: Int
  /// This is in memory of its own, so that its address can be passed on without a check for overlapping accesses, which
  /// takes as long as a short kernel.
  let raw: UnsafePointer<nf_codes>
  private let pages: PageMemory

  public var dimension: Int { coarse.dimension }
  /// Whether a record is divided in halves. Rough keys read the first half only.
  public var isDivided: Bool { raw.pointee.planes == 2 }

  /// Whether records of rows of `dimension` values are divided.
  public static func isDivided(dimension: Int) -> Bool { dimension > mostUndivided }
  public var metric: CodeMetric { coarse.metric }

  /// Allocates records whose bytes are all zero.
  ///
  /// - Parameters:
  ///   - slots: the least number of slots.
  ///   - neighbors: the least number of neighbours that lists have room for.
  /// - Returns: nil when there is not enough memory, or more than ``mostSlots`` slots are asked for.
  public init?(coarse: CoarseQuantizer, slots: Int, neighbors: Int) {
    self.coarse = coarse
    let planes = Self.isDivided(dimension: coarse.dimension) ? 2 : 1
    let unit = 64 * planes
    padded = (coarse.dimension + unit - 1) / unit * unit
    let header = MemoryLayout<nf_code_header>.size + MemoryLayout<nf_code_bounds>.size
    let listStride = (1 + max(0, neighbors) + 15) / 16 * 16
    mostNeighbors = listStride - 1
    // The number is a multiple of 64, so that headers, bounds and lists begin on cache lines.
    self.slots = (max(1, slots) + 63) / 64 * 64
    let (size, overflow) = (padded + header + 4 * listStride).multipliedReportingOverflow(by: self.slots)
    guard coarse.dimension > 0, !overflow, self.slots <= Self.mostSlots else { return nil }
    guard let pages = PageMemory(bytes: size) else { return nil }
    self.pages = pages
    let memory = pages.start
    let raw = UnsafeMutablePointer<nf_codes>.allocate(capacity: 1)
    raw.initialize(
      to: nf_codes(
        base: memory.assumingMemoryBound(to: UInt8.self), padded: padded, planes: planes,
        headers: (memory + padded * self.slots).assumingMemoryBound(to: nf_code_header.self),
        bounds: (memory + (padded + MemoryLayout<nf_code_header>.size) * self.slots)
          .assumingMemoryBound(to: nf_code_bounds.self),
        lists: (memory + (padded + header) * self.slots).assumingMemoryBound(to: UInt32.self), list_stride: listStride,
        capacity: mostNeighbors))
    self.raw = UnsafePointer(raw)
  }

  deinit { raw.deallocate() }

  /// Copies the first `count` records of `other`, which must have the same centroids, without their lists.
  public func copy(_ count: Int, from other: CodeRecords) {
    precondition(other.coarse === coarse, "codes are relative to their own centroids")
    precondition(count <= min(slots, other.slots), "\(count) records of \(other.slots) into \(slots)")
    raw.pointee.base.update(from: other.raw.pointee.base, count: count * padded)
    raw.pointee.headers.update(from: other.raw.pointee.headers, count: count)
    raw.pointee.bounds.update(from: other.raw.pointee.bounds, count: count)
  }

  /// Copies the first `count` lists of `other`, which must have the same room.
  public func copyLists(_ count: Int, from other: CodeRecords) {
    precondition(other.mostNeighbors == mostNeighbors, "lists of another length")
    precondition(count <= min(slots, other.slots), "\(count) lists of \(other.slots) into \(slots)")
    raw.pointee.lists.update(from: other.raw.pointee.lists, count: count * raw.pointee.list_stride)
  }

  /// What is stored for a row beside its codes.
  private typealias Head = (header: nf_code_header, bounds: nf_code_bounds)

  /// The head of a slot without codes. Its bounds are infinite, so that no search rules it out.
  private static let unknown: Head = (
    nf_code_header(a: 0, b: 0, rough: 0, cell: 0, s: nf_slack_above(.infinity)),
    nf_code_bounds(e: .infinity, n: .infinity)
  )

  private func set(_ head: Head, of slot: Int) { (raw.pointee.headers[slot], raw.pointee.bounds[slot]) = head }

  /// Makes `slot` a slot without codes, so that exact searches compare its row itself.
  public func forget(_ slot: Int) {
    precondition((0..<slots).contains(slot), "there is no slot \(slot) among \(slots)")
    set(Self.unknown, of: slot)
  }

  /// Writes the codes of `row` to `slot`, whose list stays as it is.
  ///
  /// - Parameter norm: ‖row‖.
  /// - Returns: ‖residual‖²; 0 when the row gets no codes because its norm is out of range (under the cosine, because
  ///   it is 0).
  @discardableResult
  public func write(_ row: UnsafeBufferPointer<Float>, norm: Double, to slot: Int, _ kernels: Kernels) -> Double {
    precondition((0..<slots).contains(slot), "there is no slot \(slot) among \(slots)")
    precondition(row.count == dimension, "a row of \(row.count) values in records of \(dimension)")
    let record = raw.pointee.base + slot * padded
    return withUnsafeTemporaryAllocation(of: Int8.self, capacity: padded) { codes in
      guard let first = codes.baseAddress else { return 0 }
      codes.initialize(repeating: 0)
      var square = 0.0
      if metric == .cosine ? norm > 0 : CoarseQuantizer.resolves(norm: norm) {
        let head: Head
        (head, square) = encode(row, norm: norm, into: first, kernels)
        set(head, of: slot)
      } else {
        set(Self.unknown, of: slot)
      }
      if raw.pointee.planes == 2 {
        kernels.table.pointee.code_pack(first, padded, record)
      } else {
        for index in 0..<padded { record[index] = UInt8(bitPattern: first[index]) ^ 0x80 }
      }
      return square
    }
  }

  /// Writes the codes of a row. Returns its head and ‖residual‖².
  // SAFETY: the scratch memory holds a row and one value per centroid; `codes` has room for `padded` values.
  private func encode(
    _ row: UnsafeBufferPointer<Float>, norm: Double, into codes: UnsafeMutablePointer<Int8>, _ kernels: Kernels
  ) -> (Head, Double) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: coarse.stride + max(coarse.stride, coarse.count)) {
      scratch in
      let z = UnsafeMutableBufferPointer(rebasing: scratch[..<coarse.stride])
      let rest = UnsafeMutableBufferPointer(rebasing: scratch[coarse.stride...])
      guard let first = z.baseAddress, let other = rest.baseAddress else { return (Self.unknown, 0) }
      let length = coarse.place(row, norm: norm, subtractingMean: true, into: z, kernels)
      let cell = coarse.nearest(to: first, other, kernels)
      return coarse.centroids.withUnsafeBufferPointer { centroids in
        let centroid = UnsafeBufferPointer(rebasing: centroids[cell * coarse.stride..<(cell + 1) * coarse.stride])
        var largest: Float = 0
        for index in 0..<dimension {
          z[index] -= centroid[index]
          largest = max(largest, abs(z[index]))
        }
        let step = largest / 127
        let residual = UnsafeBufferPointer(rebasing: z[..<dimension])
        let rounding = Double(kernels.table.pointee.code_quantize(first, dimension, step, codes))
        let square = kernels.dot(residual, residual)
        // The centroid's product with what the codes stand for.
        func product(_ value: (Int8) -> Float) -> Double {
          for index in 0..<dimension { rest[index] = value(codes[index]) }
          return kernels.dot(centroid, UnsafeBufferPointer(rebasing: rest[..<dimension])) * Double(step)
        }
        let drift = coarse.drift * length
        // 4e-7: the residual and its error were rounded to f32.
        let error = (rounding + 4e-7 * square.squareRoot() + drift) * 1.0001
        let reach = (square.squareRoot() + error) * 1.0001
        let b = -square - 2 * product { Float($0) }
        // This takes the middle of the values that have the same upper nibble.
        let rough = -square - 2 * product { Float(($0 >> 4) * 16) + 8 }
        // Under the cosine, directions and scores have the rounding errors of f64, however small the residual is.
        let slack = 2 * reach * drift + 6 * drift * drift + 4e-7 * abs(b) + (metric == .cosine ? 1e-14 : 0)
        let header = nf_code_header(
          a: 2 * step, b: Float(b), rough: Float(rough), cell: UInt16(truncatingIfNeeded: cell),
          s: nf_slack_above(Float(slack * 1.0001)))
        return ((header, nf_code_bounds(e: Float(2 * error), n: Float(2 * reach))), square)
      }
    }
  }
}
