import SimilarityCore

/// Where walks start: some members of every cell, those of the cells nearest to the query.
///
/// Between regions that lie far apart there are few edges, and nothing to tell a walk which one to take. A query's distances
/// from all centroids are known before the walk begins, so that it starts in the right region.
struct EntryPoints: Sendable {
  /// Cells whose members a walk starts from.
  private static let nearestCells = 4
  private static let mostPerCell = 8
  /// Members of a cell among which its entries are chosen.
  private static let sampleOfCell = 64

  /// The entries of cell c are slots[starts[c]] ..< slots[starts[c + 1]].
  private(set) var slots: [UInt32] = []
  private var starts: [Int] = [0]
  /// Slots that no entry of a cell leads to: every walk begins with them too.
  var others: [UInt32] = []

  /// Chooses entries for a graph of `members`.
  ///
  /// In a cell the first is near its middle, and each next one is the farthest from those before (Gonzalez 1985): a cell may
  /// hold several clusters.
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
    // The nearest cells may have lost all their members.
    if found.isEmpty { found = near(query, starts.count, includingFar: true, kernels) }
    found.append(contentsOf: others)
    return found
  }

  /// What a filter leaves of the entries around a query.
  struct Matching {
    /// Those that match, of the nearest cells which have any.
    var entries: [UInt32] = []
    /// The share of all entries of the nearest cells that match.
    var share = 0.0
    /// Whether the nearest cell has none, and the nearest that has any is much farther.
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

  // SAFETY: as above.
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
