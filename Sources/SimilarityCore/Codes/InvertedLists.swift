import CKernels
import Platform

/// The rows of each cell, in the order in which exact scans read them (Jégou et al. 2011, section IV).
///
/// A scan skips cells that cannot hold a neighbour. In a cell, rows come in order of decreasing distance from the
/// centroid. By the triangle inequality a row is no nearer to the query than the centroid's distance less its own, so
/// that a scan can end early. The rows before that are compared by the upper nibbles of their codes, half of a record,
/// and only rows that these cannot rule out are compared by all bits.
///
/// For up to 256 dimensions, where that takes little memory, the lists contain copies of the upper nibbles, those of
/// sixteen rows side by side. Otherwise the nibbles are read from the records.
///
/// Lists never change. A scan is told which slots are as they were when the lists were made, and ignores the others.
// SAFETY: the memory is written in the initialiser only.
public final class InvertedLists: @unchecked Sendable {
  static let rowsPerGroup = Int(NF_GROUP)
  private static let bytesPerBlock = 64
  private static let dimensionsPerBlock = 8
  private static let mostWithCodes = 256

  /// Whether lists for rows of `dimension` values contain codes.
  public static func hasCodes(dimension: Int) -> Bool { dimension <= mostWithCodes }

  /// The number of rows in all cells.
  public let count: Int
  /// The groups of cell c are starts[c] ..< starts[c + 1].
  let starts: [Int]
  let raw: UnsafePointer<nf_lists>
  private let memory: PageMemory

  /// - Parameter slots: different slots that have been written; a slot without codes is never ruled out.
  /// - Returns: nil when there are no slots, or not enough memory.
  // SAFETY: the parts of the memory are as long as the shape says, each cell writes to its own groups, and slots are
  // inside the records.
  public init?(of slots: [Int], in records: CodeRecords, _ loop: ParallelLoop, _ kernels: Kernels) {
    let coarse = records.coarse
    var cells = [[UInt32]](repeating: [], count: coarse.count)
    for slot in slots { cells[records.cell(of: slot)].append(UInt32(truncatingIfNeeded: slot)) }
    var starts = [0]
    for cell in cells {
      starts.append(starts[starts.count - 1] + (cell.count + Self.rowsPerGroup - 1) / Self.rowsPerGroup)
    }
    let groups = starts[coarse.count]
    let places = groups * Self.rowsPerGroup
    let hasCodes = Self.hasCodes(dimension: coarse.dimension)
    let blocks = hasCodes ? (coarse.dimension + Self.dimensionsPerBlock - 1) / Self.dimensionsPerBlock : 0
    let room = CoarseQuantizer.room(coarse.count)
    let codeBytes = groups * blocks * Self.bytesPerBlock
    let words = 2 * places + (hasCodes ? 2 * places : 0) + groups + 2 * room
    guard !slots.isEmpty, let memory = PageMemory(bytes: codeBytes + 4 * words) else { return nil }
    let codes = memory.start.assumingMemoryBound(to: UInt8.self)
    let named = (memory.start + codeBytes).assumingMemoryBound(to: UInt32.self)
    let errors = (memory.start + codeBytes + 4 * places).assumingMemoryBound(to: Float.self)
    let steps = errors + places
    let offsets = steps + (hasCodes ? places : 0)
    let reaches = offsets + (hasCodes ? places : 0)
    let widest = reaches + groups
    let slack = widest + room
    for cell in 0..<room { widest[cell] = -.infinity }

    func fill(_ cell: Int) {
      guard !cells[cell].isEmpty else { return }
      var ranked = cells[cell].map { (slot: $0, n: records.raw.pointee.bounds[Int($0)].n) }
      ranked.sort { $0.n > $1.n }
      widest[cell] = ranked[0].n
      var largest: Float = 0
      for index in 0..<(starts[cell + 1] - starts[cell]) * Self.rowsPerGroup {
        let place = starts[cell] * Self.rowsPerGroup + index
        let group = place / Self.rowsPerGroup
        guard index < ranked.count else {
          named[place] = ranked[ranked.count - 1].slot | NF_NO_ROW
          continue
        }
        let (slot, n) = ranked[index]
        let header = records.raw.pointee.headers[Int(slot)]
        let error = records.raw.pointee.bounds[Int(slot)].e
        if index % Self.rowsPerGroup == 0 { reaches[group] = n }
        let square = kernels.table.pointee.list_fill(
          records.raw, slot, coarse.dimension, index % Self.rowsPerGroup,
          hasCodes ? codes + group * blocks * Self.bytesPerBlock : nil)
        named[place] = slot
        // The factor 1.0001 exceeds all rounding errors of the sum.
        errors[place] = (error + header.a * square.squareRoot()) * 1.0001
        if hasCodes { (steps[place], offsets[place]) = (header.a, header.rough) }
        let own = withUnsafePointer(to: header) { nf_slack($0) }
        // A row without codes has an infinite error of its own, so that the slack of its cell need not be infinite.
        if own.isFinite { largest = max(largest, (own + 4e-7 * abs(header.rough)) * 1.0001) }
      }
      slack[cell] = largest
    }
    loop.forEachPiece(coarse.count) { cell in fill(cell) }
    count = slots.count
    self.starts = starts
    self.memory = memory
    let raw = UnsafeMutablePointer<nf_lists>.allocate(capacity: 1)
    raw.initialize(
      to: nf_lists(
        slots: named, e: errors, a: hasCodes ? steps : nil, rough: hasCodes ? offsets : nil,
        codes: hasCodes ? codes : nil, blocks: blocks, n: reaches, widest: widest, slack: slack, cells: coarse.count))
    self.raw = UnsafePointer(raw)
  }

  deinit { raw.deallocate() }

  /// The number of cells; some may be empty.
  public var cells: Int { starts.count - 1 }

  /// The number of places for rows in `cells`; a few of them may be empty.
  public func rows(in cells: some Sequence<UInt32>) -> Int {
    cells.reduce(0) { $0 + (starts[Int($1) + 1] - starts[Int($1)]) * Self.rowsPerGroup }
  }

  /// The cells that may hold a row whose key for `query` reaches `threshold`.
  // SAFETY: there is room for every cell.
  public func cells(within threshold: Float, of query: CodeQuery, _ kernels: Kernels) -> [UInt32] {
    [UInt32](unsafeUninitializedCapacity: cells) { cells, count in
      guard let first = cells.baseAddress else { return }
      count = kernels.table.pointee.lists_within(query.raw, raw, threshold, first)
    }
  }
}

/// How much exact scans have compared.
public struct ScanEffort: Sendable, Equatable {
  /// The number of scanned queries; not a whole number where older queries count for less.
  public var queries = 0.0
  /// The number of rows that were compared by the upper halves of their codes, or skipped on the way.
  public var rough = 0.0
  /// The number of rows that were compared by all bits.
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

/// A scan of cells for one query, in steps.
// SAFETY: the buffers have room for the slots of one step.
public struct ListScan: ~Copyable {
  private static let groupsPerStep = 32
  /// The number of groups in the steps of a scan that has no threshold yet. They are short, because their keys give a
  /// threshold for the rest.
  private static let firstGroups = 4
  /// The number of rows after which it is known whether the upper halves of codes rule out enough rows to be read
  /// first.
  private static let fewestKnown = 2048.0

  private let records: CodeRecords
  private let lists: InvertedLists
  private let query: CodeQuery
  private let kernels: Kernels
  private let slots: UnsafeMutablePointer<UInt32>
  private let hits: UnsafeMutablePointer<CodeHit>
  /// How much was compared so far.
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

  /// Calls `body` with the rows of `cell` that cannot be ruled out, a few at a time.
  ///
  /// - Parameters:
  ///   - live: has the bits of the slots to be searched set.
  ///   - threshold: what keys must reach; −∞ for no threshold.
  ///   - body: returns the threshold that keys must reach from then on.
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

  /// Whether reading the upper halves of codes first has ruled out too few rows to be worthwhile.
  private var resolvesLittle: Bool { effort.rough >= Self.fewestKnown && 4 * effort.full > effort.rough }

  /// Writes the live slots of some groups to ``slots``.
  ///
  /// - Returns: their number.
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
