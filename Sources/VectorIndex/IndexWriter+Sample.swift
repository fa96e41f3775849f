import SimilarityCore

/// The rows by which recall is measured.
extension IndexWriter {
  private static let mostHeldOut = 512
  /// Of the time that insertions take, calibration takes at most this share.
  private static let share = 0.04
  /// Slots that an insertion compares, about, and the walks that measure one query.
  private static let metByInsertion = 9_000.0
  private static let metByMeasure = 8_000.0
  /// How much cheaper the exact search is for many queries at once.
  private static let together = 5.0

  /// Some of `slots`, spread evenly, as many as the time that insertions take allows for; they are to be linked last.
  mutating func heldOut(of slots: [Int]) -> SlotSet {
    allowance += Self.share * Double(slots.count)
    // The first rows have nothing to be searched in.
    let members = graph?.members.count ?? max(0, slots.count - Self.mostHeldOut)
    guard members > 0 else { return SlotSet() }
    let costs = SearchCosts(dimension: dimension)
    let scan = costs.scan(of: members, among: members, measured: nil)
    let compared = costs.met(ef: 32)
    func affordable(_ scan: Double) -> Int {
      Int(allowance * Self.metByInsertion * compared / (scan + Self.metByMeasure * compared))
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

  /// Measures walks for the rows of `held`, which are not in the graph yet.
  mutating func measure(_ held: SlotSet) {
    guard let graph else { return }
    var searched = live
    searched.formIntersection(graph.members)
    var values: [Float] = []
    values.reserveCapacity(held.count * dimension)
    for slot in held.all { values += rows.row(slot) }
    guard let queries = Matrix(rows: held.count, columns: dimension, values: values) else { return }
    // A failure leaves what was known.
    if let curve = RecallMeasure(snapshot: snapshot(of: searched), loop: loop).curve(of: queries) {
      board.add(rows: curve)
    }
  }
}
