extension BytePairs {
  /// Merges few tokens: each time all neighbours are compared.
  func mergeFew(_ scratch: inout Scratch) {
    var count = scratch.ids.count
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: count) { ranks in
      scratch.ids.withUnsafeMutableBufferPointer { ids in
        scratch.lengths.withUnsafeMutableBufferPointer { lengths in
          // SAFETY: every index is less than `count`, which never grows.
          for index in 0..<count - 1 { ranks[index] = merges.merge(ids[index], ids[index + 1]) }
          while count > 1 {
            var best = PairTable.none
            var place = 0
            for index in 0..<count &- 1 where ranks[index] >> 32 < best >> 32 {
              best = ranks[index]
              place = index
            }
            if best == PairTable.none { break }
            ids[place] = Int32(truncatingIfNeeded: best & 0xFFFF_FFFF)
            lengths[place] &+= lengths[place &+ 1]
            count &-= 1
            for index in place &+ 1..<max(place &+ 1, count) {
              ids[index] = ids[index &+ 1]
              lengths[index] = lengths[index &+ 1]
            }
            for index in place &+ 1..<max(place &+ 1, count &- 1) { ranks[index] = ranks[index &+ 1] }
            if place > 0 { ranks[place &- 1] = merges.merge(ids[place &- 1], ids[place]) }
            if place &+ 1 < count { ranks[place] = merges.merge(ids[place], ids[place &+ 1]) }
          }
        }
      }
    }
    scratch.ids.removeSubrange(count...)
    scratch.lengths.removeSubrange(count...)
  }

  /// Merges many tokens with a queue of the neighbours that can be merged.
  func mergeMany(_ scratch: inout Scratch) {
    let count = scratch.ids.count
    scratch.before = (0..<count).map { $0 - 1 }
    scratch.after = (0..<count).map { $0 + 1 < count ? $0 + 1 : -1 }
    scratch.queue.clear()
    for place in 0..<count - 1 {
      scratch.queue.push(merges.merge(scratch.ids[place], scratch.ids[place + 1]), place)
    }
    while let (merge, place) = scratch.queue.pop() {
      let next = scratch.after[place]
      if scratch.lengths[place] == 0 || next < 0 { continue }
      // The neighbours may have become others since they were queued.
      if merges.merge(scratch.ids[place], scratch.ids[next]) != merge { continue }
      scratch.ids[place] = Int32(truncatingIfNeeded: merge & 0xFFFF_FFFF)
      scratch.lengths[place] += scratch.lengths[next]
      scratch.lengths[next] = 0
      let behind = scratch.after[next]
      scratch.after[place] = behind
      if behind >= 0 {
        scratch.before[behind] = place
        scratch.queue.push(merges.merge(scratch.ids[place], scratch.ids[behind]), place)
      }
      let ahead = scratch.before[place]
      if ahead >= 0 { scratch.queue.push(merges.merge(scratch.ids[ahead], scratch.ids[place]), ahead) }
    }
  }
}

/// The merges that can be made, the one of the lowest rank first, and of those of one rank the one furthest to the left.
struct MergeQueue {
  private var items: [(merge: UInt64, place: Int)] = []

  mutating func clear() { items.removeAll(keepingCapacity: true) }

  mutating func push(_ merge: UInt64, _ place: Int) {
    if merge == PairTable.none { return }
    items.append((merge, place))
    var index = items.count - 1
    while index > 0, isBefore(index, (index - 1) / 2) {
      items.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  mutating func pop() -> (merge: UInt64, place: Int)? {
    guard let first = items.first, let last = items.popLast() else { return nil }
    if items.isEmpty { return first }
    items[0] = last
    var index = 0
    while true {
      var least = index
      for child in [2 * index + 1, 2 * index + 2] where child < items.count && isBefore(child, least) { least = child }
      if least == index { return first }
      items.swapAt(index, least)
      index = least
    }
  }

  private func isBefore(_ first: Int, _ second: Int) -> Bool {
    (items[first].merge >> 32, items[first].place) < (items[second].merge >> 32, items[second].place)
  }
}
