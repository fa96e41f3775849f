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

/// Keeps a graph whole: dead slots are taken out of lists, and every slot stays reachable.
struct GraphRepair {
  let records: CodeRecords
  let pruning: Pruning
  let loop: ParallelLoop

  /// Takes `dead` out of the lists of `members`: a dead neighbour gives way to the nearest of its own neighbours (as Xu et al.
  /// 2025, "IP-DiskANN", do at once), so that an edge to a far region still leads there. To choose anew among all of their
  /// neighbours (Singh et al. 2021, "FreshDiskANN") would fill lists with what is near.
  ///
  /// Lists of the dead are left as they are, for walks that are on them.
  func unlink(_ dead: SlotSet, members: SlotSet) {
    let words = members.words
    loop.forEachPiece(words.count) { word in
      var rest = words[word]
      while rest != 0 {
        let slot = word * 64 + rest.trailingZeroBitCount
        rest &= rest - 1
        mend(slot, dead)
      }
    }
  }

  private func mend(_ slot: Int, _ dead: SlotSet) {
    let list = records.neighbors(of: slot)
    guard list.contains(where: { dead.contains(Int($0)) }) else { return }
    var kept = list.filter { !dead.contains(Int($0)) }
    for neighbor in list where dead.contains(Int(neighbor)) && kept.count < records.mostNeighbors {
      let further = records.neighbors(of: Int(neighbor)).filter {
        Int($0) != slot && !dead.contains(Int($0)) && !kept.contains($0)
      }
      if let nearest = pruning.nearest(to: slot, of: further) { kept.append(nearest) }
    }
    kept.withUnsafeBufferPointer { records.setNeighbors(of: slot, to: $0) }
  }

  /// The slots that cannot be reached from `entries`.
  func unreachable(_ members: SlotSet, from entries: [UInt32]) -> SlotSet {
    var rest = members
    var front = entries
    for entry in entries { rest.remove(Int(entry)) }
    while let slot = front.popLast() {
      for neighbor in records.neighbors(of: Int(slot)) where rest.contains(Int(neighbor)) {
        rest.remove(Int(neighbor))
        front.append(neighbor)
      }
    }
    return rest
  }

  /// Gives every unreachable slot an edge from the nearest slot that can be reached and has room.
  ///
  /// - Parameter search: the members nearest to a slot's row, best first, as a walk from the entries finds them.
  /// - Returns: how many could not be reached, and those for which there is no such edge: walks have to start from them too.
  func reconnect(
    _ members: SlotSet, entries: [UInt32], search: (Int) -> [UInt32]
  ) -> (lost: Int, others: [UInt32]) {
    var others: [UInt32] = []
    var lost = unreachable(members, from: entries)
    let count = lost.count
    while let first = lost.first {
      let isLinked = search(first).contains {
        Int($0) != first && members.contains(Int($0)) && !lost.contains(Int($0))
          && records.addNeighbor(UInt32(first), to: Int($0))
      }
      if !isLinked { others.append(UInt32(first)) }
      // What hangs on it is reachable now as well.
      var front = [UInt32(first)]
      lost.remove(first)
      while let slot = front.popLast() {
        for neighbor in records.neighbors(of: Int(slot)) where lost.contains(Int(neighbor)) {
          lost.remove(Int(neighbor))
          front.append(neighbor)
        }
      }
    }
    return (count, others)
  }
}
