import CKernels

/// The best slots that a walk has met, best first; the keys of ``CandidatePool/slack`` places behind its end are −∞.
public typealias CandidatePool = nf_pool

extension CandidatePool {
  public static var slack: Int { Int(NF_POOL_SLACK) }
}

extension CodeRecords {
  /// The keys of `slots` for `query`, by all bits of their codes.
  public func keys(
    of slots: UnsafeBufferPointer<UInt32>, for query: CodeQuery, into keys: UnsafeMutablePointer<Float>,
    _ kernels: Kernels
  ) {
    guard let first = slots.baseAddress else { return }
    kernels.table.pointee.code_keys(raw, query.raw, first, slots.count, keys)
  }

  /// The same from half of the codes' bits.
  public func roughKeys(
    of slots: UnsafeBufferPointer<UInt32>, for query: CodeQuery, into keys: UnsafeMutablePointer<Float>,
    _ kernels: Kernels
  ) {
    guard let first = slots.baseAddress else { return }
    kernels.table.pointee.code_rough_keys(raw, query.raw, first, slots.count, keys)
  }

  /// The neighbours of `slot` that are not in `visited` yet, and their rough keys, from half of the codes' bits.
  ///
  /// - Parameter visited: a bit for every slot; gets those that are returned.
  // SAFETY: lists hold slots of this object only; the outputs have room for mostNeighbors.
  @inline(__always)
  public func expand(
    _ slot: UInt32, for query: CodeQuery, visited: UnsafeMutablePointer<UInt64>,
    slots: UnsafeMutablePointer<UInt32>, keys: UnsafeMutablePointer<Float>, _ kernels: Kernels
  ) -> Int {
    kernels.table.pointee.code_neighbors(raw, query.raw, slot, visited, slots, keys)
  }

  /// Puts `count` slots that the pool has not met in their places.
  ///
  /// - Returns: the first place that changed, or the size before.
  // SAFETY: the pool has room for as many as it says, and slack behind.
  @inline(__always)
  public func offer(
    _ slots: UnsafePointer<UInt32>, keys: UnsafePointer<Float>, count: Int, to pool: inout CandidatePool,
    _ kernels: Kernels
  ) -> Int {
    kernels.table.pointee.pool_offer(raw, slots, keys, count, &pool)
  }

  /// Moves the slots whose keys are at least `least` to the front, with their keys.
  ///
  /// - Returns: how many there are.
  // SAFETY: both have `count` values.
  public func keep(
    _ slots: UnsafeMutablePointer<UInt32>, keys: UnsafeMutablePointer<Float>, count: Int, atLeast least: Float,
    _ kernels: Kernels
  ) -> Int {
    kernels.table.pointee.keep_above(slots, keys, count, least)
  }

  /// The usual error of the key of `slot`, by all bits of its codes: errors of rounding point in no direction, so that of the
  /// bound a share of 1/√dimension is one standard deviation.
  public func deviation(of slot: UInt32, for query: CodeQuery) -> Float {
    let header = raw.pointee.headers[Int(slot)]
    let reach = query.raw.pointee.reach.map { $0[Int(header.cell)] } ?? query.raw.pointee.norm
    return raw.pointee.bounds[Int(slot)].e * reach / Float(dimension).squareRoot()
  }

  /// The centroid that the codes of `slot` are relative to.
  public func cell(of slot: Int) -> Int { Int(raw.pointee.headers[slot].cell) }

  /// A measure of how far the row in `slot` is from its centroid.
  public func residual(of slot: Int) -> Float { raw.pointee.bounds[slot].n }
}

/// A row that a scan could not rule out: its key lies within `width` of `key`.
public typealias CodeHit = nf_code_hit

extension CodeRecords {
  /// Of `count` slots, those whose key may reach `threshold`, by all bits of their codes.
  ///
  /// - Parameter hits: room for `count`.
  // SAFETY: the slots are inside the records.
  public func bound(
    _ slots: UnsafePointer<UInt32>, count: Int, for query: CodeQuery, threshold: Float,
    into hits: UnsafeMutablePointer<CodeHit>, _ kernels: Kernels
  ) -> Int {
    kernels.table.pointee.code_bound(raw, query.raw, slots, count, threshold, hits)
  }

  /// Of some groups of a cell, the slots that the upper halves of their codes cannot rule out.
  ///
  /// - Parameters:
  ///   - groups: all of `cell`.
  ///   - live: a bit for each slot that counts.
  ///   - slots: room for ``InvertedLists/rowsPerGroup`` times as many.
  /// - Returns: how many slots, and how many groups were read; fewer than there are when nothing behind can reach the threshold.
  // SAFETY: the lists name slots of this object only.
  func scan(
    _ groups: Range<Int>, of cell: UInt32, in lists: InvertedLists, for query: CodeQuery,
    live: UnsafeBufferPointer<UInt64>, threshold: Float, into slots: UnsafeMutablePointer<UInt32>, _ kernels: Kernels
  ) -> (found: Int, groups: Int) {
    var scanned = 0
    let found = kernels.table.pointee.list_scan(
      raw, query.raw, lists.raw, cell, groups.lowerBound, groups.count, live.baseAddress, live.count, threshold,
      slots,
      &scanned)
    return (found, scanned)
  }
}
