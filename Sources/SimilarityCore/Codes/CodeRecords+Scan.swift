import CKernels

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
