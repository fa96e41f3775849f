import SimilarityCore

/// Where walks start: the slots that more lists name than any slot they name themselves.
///
/// Such a slot lies in the middle of its surroundings (Radovanović et al. 2010, "Hubs in space"), so that each dense region
/// has one. Every walk compares its query with all of them first: between regions that lie far apart there are few edges, and
/// nothing to tell a walk which one to take.
struct EntryPoints {
  /// Of n slots at most this many times √n: comparing costs less than the walk that follows.
  private static let share = 4.0

  let records: CodeRecords

  /// - Parameter members: the slots of the graph; lists name no others.
  /// - Returns: some of them, none only when there are none.
  func choose(among members: SlotSet) -> [UInt32] {
    let slots = members.all
    guard let last = slots.last else { return [] }
    var named = [UInt32](repeating: 0, count: last + 1)
    var list = [UInt32](repeating: 0, count: records.mostNeighbors)
    for slot in slots {
      let count = read(slot, &list)
      for neighbor in list[..<count] where Int(neighbor) <= last { named[Int(neighbor)] += 1 }
    }
    var peaks: [UInt32] = []
    for slot in slots {
      let count = read(slot, &list)
      let isPeak = list[..<count].allSatisfy { Int($0) > last || named[Int($0)] <= named[slot] }
      if isPeak { peaks.append(UInt32(truncatingIfNeeded: slot)) }
    }
    peaks.sort { named[Int($0)] != named[Int($1)] ? named[Int($0)] > named[Int($1)] : $0 < $1 }
    return Array(peaks.prefix(max(1, Int(Self.share * Double(slots.count).squareRoot()))))
  }

  private func read(_ slot: Int, _ list: inout [UInt32]) -> Int {
    list.withUnsafeMutableBufferPointer { list in list.baseAddress.map { records.neighbors(of: slot, into: $0) } ?? 0 }
  }
}
