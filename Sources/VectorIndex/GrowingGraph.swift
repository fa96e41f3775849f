import SimilarityCore

/// What a graph is while it changes, but for its lists.
struct GrowingGraph {
  /// The slots in it, also removed ones that lists still name.
  var members = SlotSet()
  /// Where walks start.
  var entries = EntryPoints()
  /// Members when the entries were chosen.
  private var chosenAt = 0
  /// Where the earliest slots go on.
  private var cursor = 0
  /// Slots added since all were last known to be reachable from the entries.
  private(set) var unchecked = 0

  /// Lost slots of a hundred added ones that are too many.
  private static let mostLost = 0.2
  /// The share of the members that is added between two looks, where few get lost.
  private var looksAfter = 0.05

  /// Whether it is time to see whether all are reachable: sooner where many were not, as among copies.
  var isCheckDue: Bool { unchecked > max(128, Int(Double(members.count) * looksAfter)) }

  /// Some of the first quarter of the slots, which came when the graph was small; at its end from the first on again.
  mutating func earliest(_ count: Int) -> [Int] {
    let end = members.count / 4
    var found: [Int] = []
    for _ in 0..<end where found.count < count {
      if cursor >= end { cursor = 0 }
      if members.contains(cursor) { found.append(cursor) }
      cursor += 1
    }
    return found
  }

  /// Takes in slots whose edges are there.
  mutating func insert(_ slots: some Swift.Collection<Int>, _ pruning: Pruning) {
    for slot in slots { members.insert(slot) }
    unchecked += slots.count
    guard members.count >= 2 * chosenAt else { return }
    chooseEntries(pruning)
    // Not everything need be reachable from the new ones.
    unchecked = members.count
  }

  mutating func chooseEntries(_ pruning: Pruning) {
    entries = EntryPoints(among: members, pruning)
    chosenAt = max(1, members.count)
  }

  /// Makes every member reachable.
  ///
  /// - Parameter search: see ``GraphRepair/reconnect(_:entries:search:)``.
  mutating func reconnect(_ repair: GraphRepair, search: (Int, EntryPoints) -> [UInt32]) {
    chooseEntries(repair.pruning)
    let chosen = entries
    let (lost, others) = repair.reconnect(members, entries: chosen.slots) { search($0, chosen) }
    entries.others = others
    let isMuch = Double(lost) * 100 > Self.mostLost * Double(unchecked)
    // Sooner at once, later by and by.
    looksAfter = isMuch ? max(0.002, looksAfter / 4) : min(0.05, looksAfter * 1.2)
    unchecked = 0
  }
}
