import SimilarityCore
import Synchronization

/// The mutable side of an index, for one caller at a time.
struct IndexWriter: ~Copyable {
  let dimension: Int
  let metric: Metric
  let options: IndexOptions
  let kernels: Kernels
  let scratch = WalkScratchPool()
  let registry = VersionRegistry()
  /// The reference points that codes are relative to.
  var coarse: CoarseQuantizer
  var version = 0
  var records: CodeRecords?
  /// The number of rows coded since the start, and what it was when the reference points were chosen.
  var coded = (count: 0, trained: 0)
  /// Slots whose codes have not been written yet.
  var uncoded = SlotSet()
  /// The lists that exact scans read, and the slots whose rows have not changed since the lists were made.
  var lists: InvertedLists?
  var covered = SlotSet()
  var rows: RowBlocks
  var live = SlotSet()
  /// The number of slots that were ever used: 0 ..< used.
  var used = 0
  /// Empty slots that no snapshot sees, largest first.
  var free: [Int] = []
  /// Empty slots that older snapshots may see, and the first version that does not.
  var retired: [(version: Int, slots: [Int])] = []
  /// Removed slots that lists of neighbours still name.
  var dead = SlotSet()
  /// nil while all searches are exact.
  var graph: GrowingGraph?
  let board = CalibrationBoard()
  /// The recall@10 target of searches that do not set their own.
  var defaultTarget: Double
  /// The time that may still be spent on calibration, in units of the insertion of one row.
  var allowance = 0.0

  init(dimension: Int, metric: Metric, options: IndexOptions, kernels: Kernels) {
    self.dimension = dimension
    self.metric = metric
    self.options = options
    self.kernels = kernels
    defaultTarget = options.recallTarget
    coarse = CoarseQuantizer(
      dimension: dimension, metric: metric.ofCodes, rotation: Rotation(dimension: dimension))
    rows = RowBlocks(dimension: dimension, folder: options.rowFolder)
  }

  var loop: ParallelLoop { ParallelLoop(threads: options.threads) }

  func snapshot() -> IndexSnapshot {
    snapshot(of: live)
  }

  /// The state with `live` as the slots to be searched.
  func snapshot(of live: SlotSet) -> IndexSnapshot {
    IndexSnapshot(
      dimension: dimension, metric: metric, live: live,
      graph: graph.map { GraphState(entries: $0.entries, size: $0.members.count) }, version: version, records: records,
      lists: lists, covered: covered, rows: rows, scratch: scratch, registry: registry, board: board,
      defaultTarget: defaultTarget,
      kernels: kernels)
  }

  mutating func apply(
    removing removed: [Int], adding values: [Float], buildsGraph: Bool = true
  ) throws(IndexError) -> [Int] {
    let (count, rest) = values.count.quotientAndRemainder(dividingBy: dimension)
    guard rest == 0 else { throw .dimension(row: count, expected: dimension, found: rest) }
    let squares = try self.squares(values, count)
    reclaim()
    try grow(by: count - free.count)
    guard let records = records ?? nil else {
      version += 1
      return []
    }
    let slots = take(count)
    values.withUnsafeBufferPointer { values in
      for (index, slot) in slots.enumerated() {
        let row = UnsafeBufferPointer(rebasing: values[index * dimension..<(index + 1) * dimension])
        rows.write(row, square: squares[index], to: slot)
        // Without a graph lists are not read, and pages that are never written take no memory.
        if graph != nil { records.setNeighbors(of: slot, to: UnsafeBufferPointer(start: nil, count: 0)) }
      }
    }
    for slot in slots { covered.remove(slot) }
    let isComplete = buildsGraph || graph != nil
    if isComplete {
      encode(slots)
    } else {
      for slot in slots {
        records.forget(slot)
        uncoded.insert(slot)
      }
    }
    version += 1
    remove(removed)
    for slot in slots { live.insert(slot) }
    guard isComplete else { return slots }
    updateLists()
    addToGraph(slots)
    return slots
  }

  /// The squared norm of each row.
  private func squares(_ values: [Float], _ count: Int) throws(IndexError) -> [Double] {
    let squares = values.withUnsafeBufferPointer { values in
      (0..<count).map { row in
        let row = UnsafeBufferPointer(rebasing: values[row * dimension..<(row + 1) * dimension])
        return kernels.dot(row, row)
      }
    }
    if metric == .cosine, let row = squares.firstIndex(where: { !($0 > 0) }) { throw .zeroVector(row: row) }
    return squares
  }

  /// Frees the slots that no snapshot sees any more.
  private mutating func reclaim() {
    guard !retired.isEmpty else { return }
    // The published version always has a reader.
    let oldest = registry.oldest ?? version
    let first = retired.firstIndex { $0.version > oldest } ?? retired.count
    guard first > 0 else { return }
    for entry in retired[..<first] { free += entry.slots }
    retired.removeFirst(first)
    free.sort(by: >)
  }

  /// See ``VectorIndex/reserve(_:)``.
  mutating func reserve(_ count: Int) throws(IndexError) { try grow(by: count - free.count) }

  private mutating func grow(by count: Int) throws(IndexError) {
    guard count > 0 else { return }
    guard count <= CodeRecords.mostSlots - used else { throw .outOfMemory }
    let needed = used + count
    let room = records?.slots ?? 0
    guard needed > room else { return try rows.reserve(needed) }
    // They grow by half, so that copying stays cheap on average. The old ones are freed with their last reader.
    guard let larger = newRecords(slots: max(1024, needed, room + room / 2), coarse: coarse) else { throw .outOfMemory }
    try rows.reserve(needed)
    if let records {
      larger.copy(used, from: records)
      if graph != nil { larger.copyLists(used, from: records) }
    }
    records = larger
  }

  private mutating func take(_ count: Int) -> [Int] {
    var slots: [Int] = []
    slots.reserveCapacity(count)
    while slots.count < count {
      if let slot = free.popLast() {
        slots.append(slot)
      } else {
        slots.append(used)
        used += 1
      }
    }
    return slots
  }

  private mutating func remove(_ removed: [Int]) {
    let gone = removed.filter { live.contains($0) }
    for slot in gone { live.remove(slot) }
    guard !gone.isEmpty else { return }
    if graph != nil {
      for slot in gone { dead.insert(slot) }
    } else {
      retired.append((version, gone))
    }
  }
}

extension Metric {
  var ofCodes: CodeMetric {
    switch self {
    case .cosine: .cosine
    case .dot: .dot
    case .euclidean: .euclidean
    }
  }
}

/// The versions that snapshots still read.
final class VersionRegistry: Sendable {
  private let readers = Mutex<[Int: Int]>([:])

  func began(_ version: Int) {
    readers.withLock { $0[version, default: 0] += 1 }
  }

  func ended(_ version: Int) {
    readers.withLock { readers in
      let left = (readers[version] ?? 1) - 1
      readers[version] = left > 0 ? left : nil
    }
  }

  /// The oldest version that is still read; nil when none is.
  var oldest: Int? { readers.withLock { $0.keys.min() } }
}
