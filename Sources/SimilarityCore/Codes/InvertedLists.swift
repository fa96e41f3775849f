import CKernels
import Platform

/// Rows by the cell they are in, as exact scans read them (Jégou et al. 2011, section IV).
///
/// A scan passes over whole cells that cannot hold a neighbour, and inside a cell it ends early: rows come by falling distance
/// from the centroid, and by the triangle inequality none is nearer to the query than the centroid less that distance. What is
/// left is compared by the upper nibbles of its codes, half of a record; only what these cannot rule out is compared in full.
///
/// Up to 256 dimensions, where that is little memory, the nibbles of sixteen rows lie side by side in the lists themselves;
/// else they are read where the records are.
///
/// The lists are what they were made of. Slots that were written to later are not in them as far as a scan is concerned: it
/// is told which slots count.
// SAFETY: the memory is written in the initialiser only.
public final class InvertedLists: @unchecked Sendable {
  static let rowsPerGroup = Int(NF_GROUP)
  private static let bytesPerBlock = 64
  private static let dimensionsPerBlock = 8
  private static let mostWithCodes = 256

  /// Whether lists of so many dimensions hold codes, which a scan then reads in one go.
  public static func hasCodes(dimension: Int) -> Bool { dimension <= mostWithCodes }

  /// Rows in all.
  public let count: Int
  /// The groups of cell c are starts[c] ..< starts[c + 1].
  let starts: [Int]
  let raw: UnsafePointer<nf_lists>
  private let memory: PageMemory

  /// - Parameter slots: those that have codes, each once.
  /// - Returns: nil when the memory cannot be had.
  // SAFETY: parts of the memory are as long as the shape says, each cell writes to its own groups, and slots are inside the records.
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
        // 1.0001: more than all rounding on the way.
        errors[place] = (error + header.a * square.squareRoot()) * 1.0001
        if hasCodes { (steps[place], offsets[place]) = (header.a, header.rough) }
        let own = withUnsafePointer(to: header) { nf_slack($0) }
        // What has no bounds has an infinite error of its own, and does not spoil its cell.
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

  /// Cells, of which some may be empty.
  public var cells: Int { starts.count - 1 }

  /// Places for rows in some cells, of which a few may be empty.
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
