import SimilarityCore

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
