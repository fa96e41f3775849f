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
    kernels.table.pointee.code_bound(&raw, query.raw, slots, count, threshold, hits)
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
      &raw, query.raw, &lists.raw, cell, groups.lowerBound, groups.count, live.baseAddress, live.count, threshold,
      slots,
      &scanned)
    return (found, scanned)
  }
}

/// A scan of cells for one query, step by step.
// SAFETY: the buffers have room for one step.
public struct ListScan: ~Copyable {
  private static let groupsPerStep = 32
  /// So few at first: with their keys there is a threshold for the rest.
  private static let firstGroups = 4
  /// Rows from which on it is known whether the upper halves of codes rule enough out to be read first.
  private static let fewestKnown = 2048

  private let records: CodeRecords
  private let lists: InvertedLists
  private let query: CodeQuery
  private let kernels: Kernels
  private let slots: UnsafeMutablePointer<UInt32>
  private let hits: UnsafeMutablePointer<CodeHit>
  /// Rows that were compared by the upper halves of their codes, and those that were in full.
  private var rough = 0
  private var full = 0

  public init(_ query: CodeQuery, _ records: CodeRecords, _ lists: InvertedLists, _ kernels: Kernels) {
    (self.query, self.records, self.lists, self.kernels) = (query, records, lists, kernels)
    slots = .allocate(capacity: Self.groupsPerStep * InvertedLists.rowsPerGroup)
    hits = .allocate(capacity: Self.groupsPerStep * InvertedLists.rowsPerGroup)
  }

  deinit {
    slots.deallocate()
    hits.deallocate()
  }

  /// Calls `body` with what cannot be ruled out of the rows of `cell`, a few at a time.
  ///
  /// - Parameters:
  ///   - live: a bit for each slot that counts.
  ///   - body: returns the threshold that keys have to reach from now on.
  public mutating func run(
    _ cell: UInt32, live: UnsafeBufferPointer<UInt64>, threshold: Float,
    _ body: (UnsafeBufferPointer<CodeHit>) -> Float
  ) {
    var threshold = threshold
    var first = lists.starts[Int(cell)]
    let end = lists.starts[Int(cell) + 1]
    while first < end {
      let most = threshold > -.infinity ? Self.groupsPerStep : Self.firstGroups
      let groups = first..<min(first + most, end)
      let (found, read) =
        resolvesLittle
        ? (list(groups, live), groups.count)
        : records.scan(
          groups, of: cell, in: lists, for: query, live: live, threshold: threshold, into: slots, kernels)
      if found > 0 {
        let count = records.bound(slots, count: found, for: query, threshold: threshold, into: hits, kernels)
        if count > 0 { threshold = body(UnsafeBufferPointer(start: hits, count: count)) }
      }
      rough += read * InvertedLists.rowsPerGroup
      full += found
      guard read == groups.count else { return }
      first = groups.upperBound
    }
  }

  /// Whether reading the upper halves of codes first has ruled out too little to be worth it.
  private var resolvesLittle: Bool { rough >= Self.fewestKnown && 4 * full > rough }

  /// All slots of some groups that count.
  private func list(_ groups: Range<Int>, _ live: UnsafeBufferPointer<UInt64>) -> Int {
    var count = 0
    for place in groups.lowerBound * InvertedLists.rowsPerGroup..<groups.upperBound * InvertedLists.rowsPerGroup {
      let slot = lists.raw.slots[place]
      let word = Int(slot / 64)
      guard word < live.count, live[word] >> UInt64(slot % 64) & 1 == 1 else { continue }
      slots[count] = slot
      count += 1
    }
    return count
  }
}
