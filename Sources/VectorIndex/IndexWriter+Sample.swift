import SimilarityCore

/// Choosing the rows on which recall is measured.
extension IndexWriter {
  private static let mostHeldOut = 512
  /// The largest share of the time of insertions that calibration may take.
  private static let share = 0.04
  /// Roughly how many slots the insertion of one row compares.
  private static let metByInsertion = 9_000.0
  /// An upper bound on the cost of all walks that measure one query, relative to the longest: pools grow by about a third.
  private static let allWalks = 4.0
  /// Rows that are scanned for to estimate the cost of a scan when nothing has been measured yet.
  private static let mostTried = 4
  /// How many times cheaper the exact search is per query when there are many queries.
  private static let together = 5.0

  /// Some of `slots`, spread evenly, to be linked last: as many as can be measured in the share of time that is allowed.
  mutating func heldOut(of slots: [Int]) -> SlotSet {
    allowance += Self.share * Double(slots.count)
    // While the graph is empty there is nothing to search in.
    let members = graph?.members.count ?? max(0, slots.count - Self.mostHeldOut)
    guard members > 0 else { return SlotSet() }
    let costs = SearchCosts(dimension: dimension)
    let known = board.current
    let scan =
      known.scan(costs).map(costs.scan) ?? triedScan(of: slots, costs)
      ?? costs.scan(of: members, among: members, measured: nil)
    let walks = known.rows.cost(costs) ?? Self.allWalks * RecallMeasure.mostCost * scan
    let compared = costs.met(ef: 32)
    func affordable(_ scan: Double) -> Int {
      Int(allowance * Self.metByInsertion * compared / (scan + walks))
    }
    var count = affordable(scan / Self.together)
    if count < 24 { count = affordable(scan) }
    count = min(count, Self.mostHeldOut, graph == nil ? slots.count / 8 : slots.count)
    guard count > 0 else { return SlotSet() }
    allowance = 0
    var held = SlotSet()
    for index in 0..<count { held.insert(slots[index * slots.count / count]) }
    return held
  }

  /// The average cost of a scan, from scans for a few of `slots`.
  private func triedScan(of slots: [Int], _ costs: SearchCosts) -> Double? {
    let tried = min(Self.mostTried, slots.count)
    guard lists != nil, let queries = matrix(of: (0..<tried).map { slots[$0 * slots.count / tried] }) else {
      return nil
    }
    let search = snapshot().search(queries, SearchOptions(k: 10), .exact)
    return search?.scans(sampled: tried).mean.map(costs.scan)
  }

  private func matrix(of slots: [Int]) -> Matrix? {
    var values: [Float] = []
    values.reserveCapacity(slots.count * dimension)
    for slot in slots { values += rows.row(slot) }
    return Matrix(rows: slots.count, columns: dimension, values: values)
  }

  /// Measures the recall of walks on the rows of `held`, which are not in the graph yet.
  mutating func measure(_ held: SlotSet) {
    guard let graph else { return }
    var searched = live
    searched.formIntersection(graph.members)
    guard let queries = matrix(of: held.all) else { return }
    // A failure is not reported: the calibration stays as it was.
    if let curve = try? RecallMeasure(snapshot: snapshot(of: searched), loop: loop).curve(of: queries) {
      board.add(rows: curve)
    }
  }
}
