import SimilarityCore

/// The mutable state of a graph, except its lists.
struct GrowingGraph {
  /// The slots in the graph, including removed ones that lists still name.
  var members = SlotSet()
  /// Where walks start.
  var entries = EntryPoints()
  /// The number of members when the entries were chosen.
  private var chosenAt = 0
  /// The slot at which ``earliest(_:)`` continues.
  private var cursor = 0
  /// Slots added since all were last known to be reachable from the entries.
  private(set) var unchecked = 0

  /// The percentage of added slots that may be unreachable before checks become more frequent.
  private static let mostLost = 0.2
  /// The share of the members that may be added before the next check.
  private var looksAfter = 0.05

  /// Whether reachability should be checked: sooner where many slots were unreachable, as among copies of one row.
  var isCheckDue: Bool { unchecked > max(128, Int(Double(members.count) * looksAfter)) }

  /// The next `count` of the first quarter of the slots, which were linked when the graph was small; after the last of them
  /// it starts again with the first.
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

  /// Adds slots whose edges have been written.
  mutating func insert(_ slots: some Swift.Collection<Int>, _ pruning: Pruning) {
    for slot in slots { members.insert(slot) }
    unchecked += slots.count
    guard members.count >= 2 * chosenAt else { return }
    chooseEntries(pruning)
    // From the new entries some members may be unreachable.
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
    // The interval is shortened at once and lengthened gradually.
    looksAfter = isMuch ? max(0.002, looksAfter / 4) : min(0.05, looksAfter * 1.2)
    unchecked = 0
  }
}

/// Repairs a graph: removes dead slots from lists, and makes every slot reachable.
struct GraphRepair {
  let records: CodeRecords
  let pruning: Pruning
  let loop: ParallelLoop

  /// Removes `dead` from the lists of `members`. A dead neighbour is replaced by the nearest of its own neighbours (as in Xu et
  /// al. 2025, "IP-DiskANN", though not at every deletion), so that an edge into a far region still leads there. Choosing
  /// anew among all of its neighbours (Singh et al. 2021, "FreshDiskANN") would fill lists with near slots.
  ///
  /// The lists of dead slots stay as they are, since walks may be reading them.
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

  /// Gives every unreachable slot an edge from the nearest reachable slot whose list has room.
  ///
  /// - Parameter search: the members nearest to a slot's row, best first, as a walk from the entries finds them.
  /// - Returns: how many slots were unreachable, and those for which there is no such edge: walks must start from them too.
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
      // Whatever can be reached from it is reachable now too.
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
