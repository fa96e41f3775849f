import SimilarityCore

/// Greedy best-first search over a graph of codes (Vamana, Subramanya et al. 2019; the pool is its list L).
///
/// Departures: keys come from int8 codes on both sides, and the caller scores the pool's best in f64; the pool is a sorted
/// array, not a heap, since it is short and is read from the front.
struct GraphWalk {
  static let expanded: UInt32 = 1 << 31
  /// Standard deviations of a code's error by which a candidate may be behind the k-th and still be scored.
  private static let margin: Float = 4

  let records: CodeRecords
  let kernels: Kernels

  /// Fills the scratch's pool with the best slots found from `entries`, best first.
  ///
  /// - Parameters:
  ///   - ef: the walk goes on from a slot only while it is among so many best.
  ///   - room: how many the pool has room for, at least ef. Those behind cost nothing but their place, and may turn out to be
  ///     among the best once their exact scores are known.
  ///   - count: slots in use; lists name no others.
  /// - Returns: how many the pool holds.
  // SAFETY: the scratch has room for `count` slots, the pool for `room`; lists and entries hold slots below count.
  func run(
    _ query: CodeQuery, entries: [UInt32], ef: Int, room: Int, count: Int, _ scratch: WalkScratch
  ) -> Int {
    let ef = max(1, ef)
    let room = max(ef, room)
    let step = records.mostNeighbors
    scratch.prepare(count: count, room: room, step: max(step, entries.count))
    let (slots, keys, visited) = (scratch.slots, scratch.keys, scratch.visited)
    var pool = 0
    var seen = 0
    entries.withUnsafeBufferPointer { records.roughKeys(of: $0, for: query, into: scratch.seenKeys, kernels) }
    for (index, entry) in entries.enumerated() {
      let bit: UInt64 = 1 << UInt64(entry % 64)
      guard visited[Int(entry / 64)] & bit == 0 else { continue }
      visited[Int(entry / 64)] |= bit
      // Places up to here have been read.
      let key = scratch.seenKeys[index]
      scratch.seen[seen] = entry
      seen += 1
      if pool == room, !(key > keys[room - 1]) { continue }
      _ = Self.insert(entry, key, slots, keys, &pool, room)
    }
    var next = 0
    while next < min(pool, ef) {
      guard slots[next] & Self.expanded == 0 else {
        next += 1
        continue
      }
      let current = slots[next]
      slots[next] |= Self.expanded
      next += 1
      scratch.reserveSeen(seen + step, keeping: seen)
      let (newSlots, newKeys) = (scratch.seen + seen, scratch.seenKeys + seen)
      let found = records.expand(
        current, for: query, visited: visited, slots: newSlots, keys: newKeys, kernels)
      for index in 0..<found {
        if pool == room, !(newKeys[index] > keys[room - 1]) { continue }
        let place = Self.insert(newSlots[index], newKeys[index], slots, keys, &pool, room)
        if place <= next + 1 { records.prefetchNeighbors(of: newSlots[index]) }
        next = min(next, place)
      }
      seen += found
    }
    scratch.clear(seen)
    return pool
  }

  /// What of a pool is worth a score in f64.
  struct Refined {
    var slots: [UInt32] = []
    /// Whether even the pool's last is within the codes' error of the k-th: others may be as near that the pool had no room for.
    var isUnresolved = false
  }

  /// Of the pool's slots that `include` lets through, those that may be among the `k` best: by all bits of their codes they
  /// come within the usual error of a code of the k-th.
  func refined(
    _ query: CodeQuery, pool: Int, room: Int, k: Int, _ scratch: WalkScratch, where include: (Int) -> Bool
  ) -> Refined {
    var kept = 0
    for index in 0..<pool {
      let slot = scratch.slots[index] & ~Self.expanded
      guard include(Int(slot)) else { continue }
      scratch.slots[kept] = slot
      scratch.keys[kept] = scratch.keys[index]
      kept += 1
    }
    let candidates = UnsafeBufferPointer(start: scratch.slots, count: kept)
    guard kept > k else { return Refined(slots: Array(candidates)) }
    scratch.reserveSeen(kept + 1, keeping: 0)
    let (slots, keys) = (scratch.seen, scratch.seenKeys)
    var count = 0
    if records.isDivided { records.keys(of: candidates, for: query, into: scratch.keys, kernels) }
    for index in 0..<kept { _ = Self.insert(candidates[index], scratch.keys[index], slots, keys, &count, kept) }
    // Errors of rounding point in no direction: of the bound, a share of 1/√dimension is one standard deviation.
    let deviation = records.width(of: slots[k - 1], for: query) / Float(records.dimension).squareRoot()
    let least = keys[k - 1] - Self.margin * deviation
    var end = k
    while end < kept, keys[end] >= least { end += 1 }
    return Refined(
      slots: Array(UnsafeBufferPointer(start: slots, count: end)),
      isUnresolved: end == kept && pool == room && deviation > 0)
  }

  /// Puts a slot in its place in the pool; the last one falls out of a full one.
  @inline(__always)
  private static func insert(
    _ slot: UInt32, _ key: Float, _ slots: UnsafeMutablePointer<UInt32>, _ keys: UnsafeMutablePointer<Float>,
    _ pool: inout Int, _ room: Int
  ) -> Int {
    var low = 0
    var high = pool
    while low < high {
      let middle = (low + high) / 2
      if keys[middle] >= key { low = middle + 1 } else { high = middle }
    }
    guard low < room else { return low }
    let moved = min(pool, room - 1) - low
    if moved > 0 {
      (slots + low + 1).update(from: slots + low, count: moved)
      (keys + low + 1).update(from: keys + low, count: moved)
    }
    slots[low] = slot
    keys[low] = key
    if pool < room { pool += 1 }
    return low
  }
}
