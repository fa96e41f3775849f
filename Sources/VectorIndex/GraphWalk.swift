import SimilarityCore

/// Greedy best-first search over a graph of codes (Vamana, Subramanya et al. 2019; the pool is its list L).
///
/// Departures from the paper: keys are computed from the codes of query and row, and the caller scores the best in f64; the
/// pool is a sorted array, not a heap, since it is short and read from the front.
struct GraphWalk {
  static let expanded: UInt32 = 1 << 31
  /// A candidate is scored when its key is behind the k-th by no more than so many standard deviations of a code's error.
  private static let margin: Float = 4
  /// The same for keys of the upper nibbles alone, whose error is sixteen times that of all bits.
  private static let roughMargin: Float = 2 * 16

  /// Computes the keys of `count` slots.
  typealias Keys = (_ slots: UnsafePointer<UInt32>, _ count: Int, _ keys: UnsafeMutablePointer<Float>) -> Void

  let records: CodeRecords
  let kernels: Kernels
  /// Replaces the keys of codes where codes cannot distinguish slots; nil for the codes' own.
  var keys: Keys?

  /// How much a walk has left in its scratch.
  struct Extent {
    /// The number of slots in the pool.
    var pool: Int
    /// The number of slots that were met, including those in the pool.
    var seen: Int
    /// The number of lists that were read, and of slots in them that were offered to the pool.
    var expansions = 0
    var offered = 0
  }

  /// Fills the scratch's pool with the best slots found from `entries`, best first. ``WalkScratch/clear(_:)`` must follow.
  ///
  /// - Parameters:
  ///   - ef: the walk continues from a slot only if that is among the `ef` best so far.
  ///   - room: how many slots the pool has room for; at least `ef`.
  ///   - count: the number of slots; lists name no others.
  ///   - only: the slots that the walk may continue from; nil for all.
  // SAFETY: the scratch has room for `count` slots, the pool for `room`; lists and entries hold slots below count.
  func run(
    _ query: CodeQuery, entries: [UInt32], ef: Int, room: Int, count: Int, only: SlotSet? = nil, _ scratch: WalkScratch
  ) -> Extent {
    let ef = max(1, ef)
    let room = max(ef, room)
    let step = records.mostNeighbors
    scratch.prepare(count: count, room: room, step: max(step, entries.count))
    let visited = scratch.visited
    var pool = CandidatePool(slots: scratch.slots, keys: scratch.keys, size: 0, room: room, next: 0)
    entries.withUnsafeBufferPointer { entries in
      records.roughKeys(of: entries, for: query, into: scratch.seenKeys, kernels)
      if let keys, let first = entries.baseAddress { keys(first, entries.count, scratch.seenKeys) }
    }
    var seen = 0
    for (index, entry) in entries.enumerated() {
      let bit: UInt64 = 1 << UInt64(entry % 64)
      guard visited[Int(entry / 64)] & bit == 0 else { continue }
      visited[Int(entry / 64)] |= bit
      // Writing here is safe: this key has been read already.
      scratch.seen[seen] = entry
      scratch.seenKeys[seen] = scratch.seenKeys[index]
      seen += 1
    }
    _ = records.offer(scratch.seen, keys: scratch.seenKeys, count: seen, to: &pool, kernels)
    return goOn(query, &pool, ef: ef, seen: seen, only: only, scratch)
  }

  /// Continues a walk with a longer pool, which first gets the best of all slots that the walk has met.
  ///
  /// - Parameter extent: the extent of the walk, whose scratch has not been used for anything else since.
  func extend(_ extent: Extent, _ query: CodeQuery, ef: Int, room: Int, _ scratch: WalkScratch) -> Extent {
    scratch.emptyPool(room: room)
    var pool = CandidatePool(slots: scratch.slots, keys: scratch.keys, size: 0, room: room, next: 0)
    _ = records.offer(scratch.seen, keys: scratch.seenKeys, count: extent.seen, to: &pool, kernels)
    for index in 0..<pool.size {
      let slot = pool.slots[index]
      if scratch.expanded[Int(slot / 64)] >> UInt64(slot % 64) & 1 == 1 { pool.slots[index] |= Self.expanded }
    }
    return goOn(query, &pool, ef: ef, seen: extent.seen, only: nil, scratch)
  }

  private func goOn(
    _ query: CodeQuery, _ pool: inout CandidatePool, ef: Int, seen: Int, only: SlotSet?, _ scratch: WalkScratch
  ) -> Extent {
    let step = records.mostNeighbors
    let visited = scratch.visited
    var extent = Extent(pool: 0, seen: seen)
    while pool.next < min(pool.size, ef) {
      let current = pool.slots[pool.next]
      guard current & Self.expanded == 0 else {
        pool.next += 1
        continue
      }
      pool.slots[pool.next] |= Self.expanded
      pool.next += 1
      scratch.expanded[Int(current / 64)] |= 1 << UInt64(current % 64)
      scratch.reserveSeen(extent.seen + 2 * step, keeping: extent.seen)
      let (newSlots, newKeys) = (scratch.seen + extent.seen, scratch.seenKeys + extent.seen)
      let found = records.expand(current, for: query, visited: visited, slots: newSlots, keys: newKeys, kernels)
      if let keys { keys(newSlots, found, newKeys) }
      extent.seen += found
      extent.expansions += 1
      var (offers, offerKeys, count) = (newSlots, newKeys, found)
      if let only {
        // The scratch has room for the matching slots behind those that were met.
        (offers, offerKeys, count) = (newSlots + found, newKeys + found, 0)
        for index in 0..<found where only.contains(Int(newSlots[index])) {
          (offers[count], offerKeys[count]) = (newSlots[index], newKeys[index])
          count += 1
        }
      }
      extent.offered += count
      pool.next = min(pool.next, records.offer(offers, keys: offerKeys, count: count, to: &pool, kernels))
    }
    extent.pool = pool.size
    return extent
  }

  /// The slots met by a walk that may be among the `k` best: those whose keys are within the usual error of codes of the k-th
  /// best key.
  ///
  /// - Parameter include: whether a slot may be found; nil for all.
  /// - Returns: slots in no order; fewer than k only when no more were met.
  func candidates(
    for query: CodeQuery, k: Int, _ extent: Extent, _ scratch: WalkScratch, where include: ((UInt32) -> Bool)?
  ) -> UnsafeMutableBufferPointer<UInt32> {
    let (slots, keys) = (scratch.seen, scratch.seenKeys)
    var count = extent.seen
    var ranked = extent.pool
    if let include {
      count = keep(count, scratch, where: include)
      ranked = rank(k, of: count, scratch)
    }
    let found = { UnsafeMutableBufferPointer(start: slots, count: count) }
    guard count > k, ranked >= k else { return found() }
    let deviation = records.deviation(of: scratch.slots[k - 1] & ~Self.expanded, for: query)
    let margin = records.isDivided ? Self.roughMargin : Self.margin
    // Callers ask for a longer pool to find more: everything in the pool is compared by all bits.
    let least = records.isDivided ? scratch.keys[ranked - 1] : .infinity
    count = records.keep(
      slots, keys: keys, count: count, atLeast: min(least, scratch.keys[k - 1] - margin * deviation), kernels)
    guard records.isDivided, count > k else { return found() }
    records.keys(of: UnsafeBufferPointer(start: slots, count: count), for: query, into: keys, kernels)
    _ = rank(k, of: count, scratch)
    count = records.keep(
      slots, keys: keys, count: count, atLeast: scratch.keys[k - 1] - Self.margin * deviation, kernels)
    return found()
  }

  /// The slots met by a walk whose keys are no worse than the `k`-th best key.
  ///
  /// - Returns: slots in no order; fewer than k only when no more were met.
  func best(
    _ k: Int, _ extent: Extent, _ scratch: WalkScratch, where include: (UInt32) -> Bool
  ) -> UnsafeMutableBufferPointer<UInt32> {
    var count = keep(extent.seen, scratch, where: include)
    if rank(k, of: count, scratch) >= k {
      count = records.keep(
        scratch.seen, keys: scratch.seenKeys, count: count, atLeast: scratch.keys[k - 1], kernels)
    }
    return UnsafeMutableBufferPointer(start: scratch.seen, count: count)
  }

  /// Moves those of the first `count` seen slots that may be found to the front.
  ///
  /// - Returns: how many there are.
  private func keep(_ count: Int, _ scratch: WalkScratch, where include: (UInt32) -> Bool) -> Int {
    let (slots, keys) = (scratch.seen, scratch.seenKeys)
    var kept = 0
    for index in 0..<count where include(slots[index]) {
      (slots[kept], keys[kept]) = (slots[index], keys[index])
      kept += 1
    }
    return kept
  }

  /// Puts the `k` best of the first `count` seen slots into the pool.
  private func rank(_ k: Int, of count: Int, _ scratch: WalkScratch) -> Int {
    scratch.emptyPool(room: k)
    var pool = CandidatePool(slots: scratch.slots, keys: scratch.keys, size: 0, room: k, next: 0)
    _ = records.offer(scratch.seen, keys: scratch.seenKeys, count: count, to: &pool, kernels)
    return pool.size
  }
}
