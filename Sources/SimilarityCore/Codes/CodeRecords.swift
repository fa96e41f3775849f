import CKernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a row's key for a query is, from which its score follows.
public enum CodeMetric: Sendable {
  /// q·x of directions.
  case cosine
  /// q·x.
  case dot
  /// 2·q·x − ‖x‖², which is ‖q‖² less the squared distance.
  case euclidean
}

/// Vectors rounded to bytes, one record a slot: the codes, and how far off they may be. Each slot has a list of neighbours.
///
/// A record's key for a query is off by at most its width, by Cauchy–Schwarz: with x̂ and q̂ what the codes stand for,
/// |q·x − q̂·x̂| ≤ ‖q‖·‖x − x̂‖ + ‖q − q̂‖·‖x̂‖. All rounding on the way is inside the stored bounds.
// SAFETY: memory of a slot is written by one caller at a time, before any list or live set names the slot; lists are atomic.
public final class CodeRecords: @unchecked Sendable {
  /// Lists name slots in 31 bits.
  public static let mostSlots = Int(UInt32.max >> 1) - 63

  public let dimension: Int
  public let metric: CodeMetric
  /// Slots that there is room for.
  public let slots: Int
  /// Neighbours that a list has room for.
  public let mostNeighbors: Int
  public let rotation: Rotation
  let padded: Int
  var raw: nf_codes
  private let bytes: Int

  /// - Returns: nil when the memory cannot be had.
  public init?(dimension: Int, metric: CodeMetric, slots: Int, neighbors: Int, rotation: Rotation) {
    self.dimension = dimension
    self.metric = metric
    self.rotation = rotation
    padded = (dimension + 127) / 128 * 128
    let header = MemoryLayout<nf_code_header>.size
    let listStride = (1 + max(0, neighbors) + 15) / 16 * 16
    mostNeighbors = listStride - 1
    // Whole tiles are read.
    self.slots = (max(1, slots) + 63) / 64 * 64
    let (size, overflow) = (padded + header + 4 * listStride).multipliedReportingOverflow(by: self.slots)
    guard dimension > 0, !overflow, self.slots <= Self.mostSlots else { return nil }
    bytes = size
    guard let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      memory != MAP_FAILED
    else { return nil }
    #if os(Linux)
      // Slots are visited in no order: large pages keep the address translation in cache.
      madvise(memory, size, MADV_HUGEPAGE)
    #endif
    raw = nf_codes(
      base: memory.assumingMemoryBound(to: UInt8.self), padded: padded,
      headers: (memory + padded * self.slots).assumingMemoryBound(to: nf_code_header.self),
      step: metric == .cosine ? Self.commonStep(dimension) : 0,
      lists: (memory + (padded + header) * self.slots).assumingMemoryBound(to: UInt32.self), list_stride: listStride,
      capacity: mostNeighbors)
  }

  deinit { munmap(raw.base, bytes) }

  /// Takes over the first `count` records of `other`, which has the same shape.
  public func copy(_ count: Int, from other: CodeRecords) {
    guard other.padded == padded, other.mostNeighbors == mostNeighbors, count <= min(slots, other.slots) else { return }
    raw.base.update(from: other.raw.base, count: count * padded)
    raw.headers.update(from: other.raw.headers, count: count)
    raw.lists.update(from: other.raw.lists, count: count * raw.list_stride)
  }

  /// Writes the codes of `row` and an empty list to `slot`.
  ///
  /// - Parameter norm: ‖row‖.
  public func write(_ row: UnsafeBufferPointer<Float>, norm: Double, to slot: Int, _ kernels: Kernels) {
    guard slot >= 0, slot < slots, row.count == dimension else { return }
    let record = raw.base + slot * padded
    let header = nf_header(&raw, slot)
    nf_list_write(&raw, slot, nil, 0)
    let scale = metric == .cosine ? 1 : norm
    withUnsafeTemporaryAllocation(of: Int8.self, capacity: padded) { codes in
      guard let first = codes.baseAddress else { return }
      codes.initialize(repeating: 0)
      defer { kernels.table.pointee.code_pack(first, padded, record) }
      guard norm > 0, scale == 1 || (1e-15...1e15).contains(norm) else {
        let bound: Float = norm > 0 ? .infinity : 0
        header?.pointee = nf_code_header(a: 0, b: 0, e: bound, n: bound)
        return
      }
      header?.pointee = quantize(row, norm: norm, scale: scale, into: first, kernels)
    }
  }

  /// Under the cosine all records have one step, so that a walk need not read it: rotated directions have values around
  /// 1/√dimension, and what is cut off at four times that is part of the record's error.
  private static func commonStep(_ dimension: Int) -> Float {
    Float(min(1, 4 / Double(dimension).squareRoot())) / 127
  }

  private func quantize(
    _ row: UnsafeBufferPointer<Float>, norm: Double, scale: Double, into codes: UnsafeMutablePointer<Int8>,
    _ kernels: Kernels
  ) -> nf_code_header {
    var unit = row.map { Float(Double($0) / norm) }
    let (step, rounding) = unit.withUnsafeMutableBufferPointer { unit -> (Float, Float) in
      rotation.apply(unit, kernels)
      let step = raw.step > 0 ? raw.step : unit.reduce(0) { max($0, abs($1)) } / 127
      guard let x = unit.baseAddress else { return (0, 0) }
      return (step, kernels.table.pointee.code_quantize(x, dimension, step, codes))
    }
    let factor = metric == .euclidean ? 2 * scale : scale
    // 1e-6: what f32 loses when a key is put together from integers.
    let error = (Double(rounding) + Rotation.rounding) * 1.0001 + 1e-6
    return nf_code_header(
      a: Float(Double(step) * factor), b: metric == .euclidean ? Float(-norm * norm) : 0, e: Float(error * factor),
      n: Float((1 + error) * factor))
  }

  // MARK: Lists of neighbours

  /// Copies the list of `slot` into `out`, which has room for ``mostNeighbors``.
  ///
  /// - Returns: how many there are.
  public func neighbors(of slot: Int, into out: UnsafeMutablePointer<UInt32>) -> Int {
    nf_list_read(&raw, slot, out)
  }

  public func setNeighbors(of slot: Int, to neighbors: UnsafeBufferPointer<UInt32>) {
    guard slot >= 0, slot < slots else { return }
    nf_list_write(&raw, slot, neighbors.baseAddress, min(neighbors.count, mostNeighbors))
  }

  /// - Returns: false when the list is full.
  public func addNeighbor(_ neighbor: UInt32, to slot: Int) -> Bool {
    guard slot >= 0, slot < slots else { return false }
    return nf_list_append(&raw, slot, neighbor) != 0
  }
}
