import CKernels

/// How much exact scans have compared.
public struct ScanEffort: Sendable, Equatable {
  /// Queries that were scanned for; not a whole number where older ones count for less.
  public var queries = 0.0
  /// Rows that were compared by the upper halves of their codes, or passed over on the way.
  public var rough = 0.0
  /// Rows that were compared by all bits.
  public var full = 0.0

  public init(queries: Double = 0, rough: Double = 0, full: Double = 0) {
    (self.queries, self.rough, self.full) = (queries, rough, full)
  }

  public static func += (sum: inout Self, other: Self) {
    sum.queries += other.queries
    sum.rough += other.rough
    sum.full += other.full
  }
}

/// A scan of cells for one query, step by step.
// SAFETY: the buffers have room for one step.
public struct ListScan: ~Copyable {
  private static let groupsPerStep = 32
  /// So few at first: with their keys there is a threshold for the rest.
  private static let firstGroups = 4
  /// Rows from which on it is known whether the upper halves of codes rule enough out to be read first.
  private static let fewestKnown = 2048.0

  private let records: CodeRecords
  private let lists: InvertedLists
  private let query: CodeQuery
  private let kernels: Kernels
  private let slots: UnsafeMutablePointer<UInt32>
  private let hits: UnsafeMutablePointer<CodeHit>
  /// What was compared so far.
  public private(set) var effort = ScanEffort()

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
      let found: Int
      var read = groups.count
      if resolvesLittle {
        found = list(groups, live)
      } else {
        (found, read) = records.scan(
          groups, of: cell, in: lists, for: query, live: live, threshold: threshold, into: slots, kernels)
        effort.rough += Double(read * InvertedLists.rowsPerGroup)
      }
      if found > 0 {
        let count = records.bound(slots, count: found, for: query, threshold: threshold, into: hits, kernels)
        if count > 0 { threshold = body(UnsafeBufferPointer(start: hits, count: count)) }
      }
      effort.full += Double(found)
      guard read == groups.count else { return }
      first = groups.upperBound
    }
  }

  /// Whether reading the upper halves of codes first has ruled out too little to be worth it.
  private var resolvesLittle: Bool { effort.rough >= Self.fewestKnown && 4 * effort.full > effort.rough }

  /// All slots of some groups that count.
  private func list(_ groups: Range<Int>, _ live: UnsafeBufferPointer<UInt64>) -> Int {
    var count = 0
    for place in groups.lowerBound * InvertedLists.rowsPerGroup..<groups.upperBound * InvertedLists.rowsPerGroup {
      let slot = lists.raw.pointee.slots[place]
      let word = Int(slot / 64)
      guard word < live.count, live[word] >> UInt64(slot % 64) & 1 == 1 else { continue }
      slots[count] = slot
      count += 1
    }
    return count
  }
}
