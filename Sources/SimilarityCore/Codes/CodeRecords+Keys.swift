import CKernels

/// The best slots that a walk has found, best first. After the last place there is room for ``CandidatePool/slack``
/// more keys, which are −∞.
public typealias CandidatePool = nf_pool

extension CandidatePool {
  /// The number of keys after the last place.
  public static var slack: Int { Int(NF_POOL_SLACK) }
}

extension CodeRecords {
  /// Writes the keys of `slots` for `query`, from all bits of their codes, to `keys`, which has room for as many.
  public func keys(
    of slots: UnsafeBufferPointer<UInt32>, for query: CodeQuery, into keys: UnsafeMutablePointer<Float>,
    _ kernels: Kernels
  ) {
    guard let first = slots.baseAddress else { return }
    kernels.table.pointee.code_keys(raw, query.raw, first, slots.count, keys)
  }

  /// Writes the keys of `slots` for `query` to `keys`, which has room for as many. Where records are divided, only the
  /// upper halves of the codes are read.
  public func roughKeys(
    of slots: UnsafeBufferPointer<UInt32>, for query: CodeQuery, into keys: UnsafeMutablePointer<Float>,
    _ kernels: Kernels
  ) {
    guard let first = slots.baseAddress else { return }
    kernels.table.pointee.code_rough_keys(raw, query.raw, first, slots.count, keys)
  }

  /// Writes the neighbours of `slot` that are not in `visited`, and their rough keys, to `slots` and `keys`.
  ///
  /// - Parameter visited: one bit for every slot. The bits of the neighbours are set.
  /// - Returns: how many neighbours were written.
  // SAFETY: lists hold slots of this object only; the outputs have room for mostNeighbors values.
  @inline(__always)
  public func expand(
    _ slot: UInt32, for query: CodeQuery, visited: UnsafeMutablePointer<UInt64>,
    slots: UnsafeMutablePointer<UInt32>, keys: UnsafeMutablePointer<Float>, _ kernels: Kernels
  ) -> Int {
    kernels.table.pointee.code_neighbors(raw, query.raw, slot, visited, slots, keys)
  }

  /// Inserts `count` slots that have not been offered before into the pool.
  ///
  /// - Returns: the first place that changed; the size of the pool when none did.
  // SAFETY: the pool has the room that it states, and the slack after it.
  @inline(__always)
  public func offer(
    _ slots: UnsafePointer<UInt32>, keys: UnsafePointer<Float>, count: Int, to pool: inout CandidatePool,
    _ kernels: Kernels
  ) -> Int {
    kernels.table.pointee.pool_offer(raw, slots, keys, count, &pool)
  }

  /// Moves the slots whose keys are at least `least`, and these keys, to the front.
  ///
  /// - Returns: how many there are.
  // SAFETY: `slots` and `keys` have `count` values.
  public func keep(
    _ slots: UnsafeMutablePointer<UInt32>, keys: UnsafeMutablePointer<Float>, count: Int, atLeast least: Float,
    _ kernels: Kernels
  ) -> Int {
    kernels.table.pointee.keep_above(slots, keys, count, least)
  }

  /// One standard deviation of the error of the key of `slot`, from all bits of its codes. Rounding errors have random
  /// directions, so that it is the bound of the error divided by √dimension.
  public func deviation(of slot: UInt32, for query: CodeQuery) -> Float {
    let header = raw.pointee.headers[Int(slot)]
    let reach = query.raw.pointee.reach.map { $0[Int(header.cell)] } ?? query.raw.pointee.norm
    return raw.pointee.bounds[Int(slot)].e * reach / Float(dimension).squareRoot()
  }

  /// The number of the centroid that the codes of `slot` are relative to.
  public func cell(of slot: Int) -> Int { Int(raw.pointee.headers[slot].cell) }

  /// A measure of the distance of the row in `slot` from its centroid: an upper bound of twice that distance, infinite
  /// where the slot has no codes.
  public func residual(of slot: Int) -> Float { raw.pointee.bounds[slot].n }
}

/// A row that a scan could not rule out; its true key lies within `width` of `key`.
public typealias CodeHit = nf_code_hit

extension CodeRecords {
  /// Finds those of `count` slots whose key may reach `threshold`, from all bits of their codes.
  ///
  /// - Parameter hits: has room for `count` hits.
  /// - Returns: the number of hits.
  // SAFETY: the slots are inside the records.
  public func bound(
    _ slots: UnsafePointer<UInt32>, count: Int, for query: CodeQuery, threshold: Float,
    into hits: UnsafeMutablePointer<CodeHit>, _ kernels: Kernels
  ) -> Int {
    kernels.table.pointee.code_bound(raw, query.raw, slots, count, threshold, hits)
  }

  /// Finds the slots of some groups of a cell that the upper halves of their codes cannot rule out.
  ///
  /// - Parameters:
  ///   - groups: groups of `cell`.
  ///   - live: has the bits of the slots to be searched set.
  ///   - slots: has room for ``InvertedLists/rowsPerGroup`` slots of each group.
  /// - Returns: the number of slots, and the number of groups that were read. Groups after these cannot reach the
  ///   threshold.
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
