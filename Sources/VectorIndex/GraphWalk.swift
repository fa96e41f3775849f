import SimilarityCore

/// Greedy best-first search over a graph of codes (Vamana, Subramanya et al. 2019; the pool is its list L).
///
/// Departures: keys come from int8 codes on both sides, and the caller scores the pool's best in f64; the pool is a sorted
/// array, not a heap, since it is short and is read from the front.
struct GraphWalk {
  static let expanded: UInt32 = 1 << 31

  let records: CodeRecords
  let kernels: Kernels

  /// Fills the scratch's pool with the `ef` best slots found from `entries`, best first.
  ///
  /// - Parameter count: slots in use; lists name no others.
  /// - Returns: how many the pool holds.
  // SAFETY: the scratch has room for `count` slots, the pool for ef; lists and entries hold slots below count.
  func run(_ query: CodeQuery, entries: [UInt32], ef: Int, count: Int, _ scratch: WalkScratch) -> Int {
    let ef = max(1, ef)
    let step = records.mostNeighbors
    scratch.prepare(count: count, ef: ef, step: max(step, entries.count))
    let pointer = QueryPointer(query)
    let (slots, keys, visited) = (scratch.slots, scratch.keys, scratch.visited)
    var pool = 0
    var seen = 0
    entries.withUnsafeBufferPointer { records.roughKeys(of: $0, for: pointer, into: scratch.seenKeys, kernels) }
    for (index, entry) in entries.enumerated() {
      let key = scratch.seenKeys[index]
      if pool == ef, !(key > keys[ef - 1]) { continue }
      // Not more of them are read than have been compared.
      visited[Int(entry / 64)] |= 1 << UInt64(entry % 64)
      scratch.seen[seen] = entry
      seen += 1
      _ = Self.insert(entry, key, slots, keys, &pool, ef)
    }
    var next = 0
    while next < pool {
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
        current, for: pointer, visited: visited, slots: newSlots, keys: newKeys, kernels)
      for index in 0..<found {
        if pool == ef, !(newKeys[index] > keys[ef - 1]) { continue }
        let place = Self.insert(newSlots[index], newKeys[index], slots, keys, &pool, ef)
        if place <= next + 1 { records.prefetchNeighbors(of: newSlots[index]) }
        next = min(next, place)
      }
      seen += found
    }
    scratch.clear(seen)
    return pool
  }

  /// Of the pool's slots that `include` lets through, the `most` best by all bits of their codes.
  func refined(
    _ query: CodeQuery, pool: Int, most: Int, _ scratch: WalkScratch, where include: (Int) -> Bool
  ) -> [UInt32] {
    var kept = 0
    for index in 0..<pool {
      let slot = scratch.slots[index] & ~Self.expanded
      guard include(Int(slot)) else { continue }
      scratch.slots[kept] = slot
      kept += 1
    }
    let candidates = UnsafeBufferPointer(start: scratch.slots, count: kept)
    guard kept > most else { return Array(candidates) }
    records.keys(of: candidates, for: query, into: scratch.keys, kernels)
    scratch.reserveSeen(most + 1, keeping: 0)
    var count = 0
    for index in 0..<kept where count < most || scratch.keys[index] > scratch.seenKeys[count - 1] {
      _ = Self.insert(candidates[index], scratch.keys[index], scratch.seen, scratch.seenKeys, &count, most)
    }
    return Array(UnsafeBufferPointer(start: scratch.seen, count: count))
  }

  /// Puts a slot in its place in the pool; the last one falls out of a full one.
  @inline(__always)
  private static func insert(
    _ slot: UInt32, _ key: Float, _ slots: UnsafeMutablePointer<UInt32>, _ keys: UnsafeMutablePointer<Float>,
    _ pool: inout Int, _ ef: Int
  ) -> Int {
    var low = 0
    var high = pool
    while low < high {
      let middle = (low + high) / 2
      if keys[middle] >= key { low = middle + 1 } else { high = middle }
    }
    guard low < ef else { return low }
    let moved = min(pool, ef - 1) - low
    if moved > 0 {
      (slots + low + 1).update(from: slots + low, count: moved)
      (keys + low + 1).update(from: keys + low, count: moved)
    }
    slots[low] = slot
    keys[low] = key
    if pool < ef { pool += 1 }
    return low
  }
}
