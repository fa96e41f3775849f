import SimilarityCore

/// The slots at which walks start: some members of every cell, of which a walk takes those of the cells nearest to its query.
///
/// Between distant regions there are few edges, and a walk cannot tell which one to take. The query's distances from all
/// centroids are known before the walk begins, so that it can start in the right region.
struct EntryPoints: Sendable {
  /// The number of cells whose members a walk starts from.
  private static let nearestCells = 4
  private static let mostPerCell = 8
  /// The number of members of a cell among which its entries are chosen.
  private static let sampleOfCell = 64

  /// The entries of cell c are slots[starts[c]] ..< slots[starts[c + 1]].
  private(set) var slots: [UInt32] = []
  private var starts: [Int] = [0]
  /// Slots that cannot be reached from the entries of any cell. Every walk starts from them too.
  var others: [UInt32] = []

  /// Chooses entries for a graph of `members`.
  ///
  /// The first entry of a cell is near its centroid, and each further one is the member farthest from the entries before it
  /// (Gonzalez 1985), since a cell may hold several clusters.
  init(among members: SlotSet, _ pruning: Pruning) {
    let records = pruning.records
    var cells = [[Int]](repeating: [], count: records.coarse.count)
    for slot in members.all { cells[records.cell(of: slot)].append(slot) }
    for cell in cells {
      let step = max(1, cell.count / Self.sampleOfCell)
      let sample = stride(from: 0, to: cell.count, by: step).prefix(Self.sampleOfCell).map { cell[$0] }
      slots += Self.spread(sample, pruning).map { UInt32(truncatingIfNeeded: $0) }
      starts.append(slots.count)
    }
  }

  init() {}

  private static func spread(_ sample: [Int], _ pruning: Pruning) -> [Int] {
    guard
      var next = sample.min(by: { pruning.records.residual(of: $0) < pruning.records.residual(of: $1) })
    else { return [] }
    var chosen: [Int] = []
    var nearest = [Double](repeating: .infinity, count: sample.count)
    while chosen.count < mostPerCell {
      chosen.append(next)
      var farthest = 0
      for index in sample.indices {
        nearest[index] = min(nearest[index], pruning.distance(sample[index], next))
        if nearest[index] > nearest[farthest] { farthest = index }
      }
      guard nearest[farthest] > 0 else { break }
      next = sample[farthest]
    }
    return chosen
  }

  var all: [UInt32] { slots + others }

  /// The entries of the cells nearest to `query`, and ``others``.
  func near(_ query: CodeQuery, _ kernels: Kernels) -> [UInt32] {
    var found = near(query, Self.nearestCells, includingFar: false, kernels)
    // All members of the nearest cells may have been removed.
    if found.isEmpty { found = near(query, starts.count, includingFar: true, kernels) }
    found.append(contentsOf: others)
    return found
  }

  /// The entries around a query that match a filter.
  struct Matching {
    /// The matching entries of the nearest cells that have any.
    var entries: [UInt32] = []
    /// The share of matching entries among all entries of the nearest cells.
    var share = 0.0
    /// Whether the nearest cell with a matching entry is much farther away than the nearest cell.
    var isElsewhere = false
  }

  // SAFETY: there is room for as many cells as are asked for.
  func matching(_ query: CodeQuery, _ allowed: SlotSet, _ kernels: Kernels) -> Matching {
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: starts.count) { cells in
      guard let first = cells.baseAddress else { return Matching() }
      let ranked = query.nearestCells(starts.count, includingFar: true, into: first, kernels)
      var found = Matching(entries: others.filter { allowed.contains(Int($0)) })
      var (nearest, taken, all, matching) = (0, 0, 0, 0)
      var closest: Int?
      for index in 0..<ranked where taken < Self.nearestCells {
        let cell = Int(cells[index])
        guard cell + 1 < starts.count, starts[cell] < starts[cell + 1] else { continue }
        let entries = slots[starts[cell]..<starts[cell + 1]]
        let some = entries.filter { allowed.contains(Int($0)) }
        if nearest < 2 * Self.nearestCells {
          nearest += 1
          all += entries.count
          matching += some.count
        }
        let before = closest ?? cell
        closest = before
        if taken == 0, !some.isEmpty { found.isElsewhere = query.isFarther(cell, than: before) }
        found.entries += some
        if !some.isEmpty { taken += 1 }
      }
      found.share = Double(matching) / Double(max(1, all))
      return found
    }
  }

  // SAFETY: there is room for as many cells as are asked for.
  private func near(_ query: CodeQuery, _ count: Int, includingFar: Bool, _ kernels: Kernels) -> [UInt32] {
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: count) { cells in
      guard let first = cells.baseAddress else { return [] }
      let ranked = query.nearestCells(count, includingFar: includingFar, into: first, kernels)
      var found: [UInt32] = []
      found.reserveCapacity(Self.nearestCells * Self.mostPerCell + others.count)
      var taken = 0
      for index in 0..<ranked where taken < Self.nearestCells {
        let cell = Int(cells[index])
        guard cell + 1 < starts.count, starts[cell] < starts[cell + 1] else { continue }
        found += slots[starts[cell]..<starts[cell + 1]]
        taken += 1
      }
      return found
    }
  }
}
