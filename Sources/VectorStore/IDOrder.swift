/// Compares ids by the bytes of their UTF-8, as databases do, whatever the locale. Swift's own `==` would take two canonically
/// equivalent ids for the same.
enum IDBytes {
  /// Whether `a` comes before `b`.
  static func precedes(_ a: String, _ b: String) -> Bool { compare(a, b) < 0 }

  /// Negative, zero or positive as `a` comes before, equals or comes after `b`.
  static func compare(_ a: String, _ b: String) -> Int {
    let fast = a.utf8.withContiguousStorageIfAvailable { a in
      b.utf8.withContiguousStorageIfAvailable { b in compare(a, b) }
    }
    if let fast, let fast { return fast }
    if a.utf8.elementsEqual(b.utf8) { return 0 }
    return a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
  }

  private static func compare(_ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>) -> Int {
    let shared = min(a.count, b.count)
    for index in 0..<shared where a[index] != b[index] { return Int(a[index]) - Int(b[index]) }
    return a.count - b.count
  }

  /// The first row that repeats the id of an earlier row; nil when there is none.
  static func firstRepeated(_ count: Int, id: (Int) -> String) -> Int? {
    let rows = (0..<count).sorted { a, b in
      let order = compare(id(a), id(b))
      return order != 0 ? order < 0 : a < b
    }
    var first: Int?
    for (before, row) in zip(rows, rows.dropFirst()) where compare(id(before), id(row)) == 0 {
      first = min(first ?? row, row)
    }
    return first
  }
}

/// The slots in the order of their records' ids, in blocks that copies share: finds a slot by id and lists slots in order.
///
/// The ids themselves are in the records, which are passed to every call: a million ids take 4 to 8 MB here. A look-up takes
/// about twenty comparisons.
struct IDOrder: Sendable {
  private static let mostInBlock = 512

  /// Ascending within a block and from block to block; no block is empty.
  private var blocks: [[UInt32]] = []

  init() {}

  /// - Parameter slots: in the order of their ids, each id once.
  init(sorted slots: [Int]) {
    // Three quarters full, so that the next insertions do not split the blocks.
    let share = Self.mostInBlock * 3 / 4
    for start in stride(from: 0, to: slots.count, by: share) {
      blocks.append(slots[start..<min(start + share, slots.count)].map { UInt32(truncatingIfNeeded: $0) })
    }
  }

  /// The slot of the record with this id.
  func slot(of id: String, in records: RecordBlocks) -> Int? {
    let place = lowerBound(id, records)
    guard place.block < blocks.count, place.offset < blocks[place.block].count else { return nil }
    let slot = Int(blocks[place.block][place.offset])
    return IDBytes.compare(records.id(at: slot), id) == 0 ? slot : nil
  }

  /// At most `limit` slots whose ids come after `after`, in order.
  func slots(after: String?, limit: Int, in records: RecordBlocks) -> [Int] {
    var place = after.map { lowerBound($0, records) } ?? (block: 0, offset: 0)
    var found: [Int] = []
    while place.block < blocks.count, found.count < limit {
      let block = blocks[place.block]
      for slot in block[min(place.offset, block.count)...] where found.count < limit {
        if let after, IDBytes.compare(records.id(at: Int(slot)), after) == 0 { continue }
        found.append(Int(slot))
      }
      place = (place.block + 1, 0)
    }
    return found
  }

  /// Adds `slot`, whose record is in `records` and whose id is not here yet.
  mutating func insert(_ slot: Int, in records: RecordBlocks) {
    let id = records.id(at: slot)
    let place = lowerBound(id, records)
    let value = UInt32(truncatingIfNeeded: slot)
    guard place.block < blocks.count else {
      blocks.append([value])
      return
    }
    blocks[place.block].insert(value, at: place.offset)
    guard blocks[place.block].count > Self.mostInBlock else { return }
    // Ids that arrive in ascending order fill their blocks; elsewhere both halves have room.
    let atTheEnd = place.block == blocks.count - 1 && place.offset == blocks[place.block].count - 1
    let kept = atTheEnd ? Self.mostInBlock : Self.mostInBlock / 2
    let moved = Array(blocks[place.block][kept...])
    // A copy, which gives back the spare capacity of the grown array.
    blocks[place.block] = Array(blocks[place.block][..<kept])
    blocks.insert(moved, at: place.block + 1)
  }

  /// Removes the slot of the record with this id, which `records` must still hold.
  ///
  /// - Returns: the slot; nil when there is no such record.
  mutating func remove(_ id: String, in records: RecordBlocks) -> Int? {
    let place = lowerBound(id, records)
    guard place.block < blocks.count, place.offset < blocks[place.block].count else { return nil }
    let slot = Int(blocks[place.block][place.offset])
    guard IDBytes.compare(records.id(at: slot), id) == 0 else { return nil }
    blocks[place.block].remove(at: place.offset)
    if blocks[place.block].isEmpty { blocks.remove(at: place.block) }
    return slot
  }

  /// Where `id` is, or would be inserted: in the last block whose first id is not after it.
  private func lowerBound(_ id: String, _ records: RecordBlocks) -> (block: Int, offset: Int) {
    func idIsAfter(_ slot: UInt32) -> Bool { IDBytes.compare(records.id(at: Int(slot)), id) < 0 }
    guard !blocks.isEmpty else { return (0, 0) }
    var low = 0
    var high = blocks.count
    // The first block that begins at or after the id.
    while low < high {
      let middle = (low + high) / 2
      if idIsAfter(blocks[middle][0]) { low = middle + 1 } else { high = middle }
    }
    if low < blocks.count, IDBytes.compare(records.id(at: Int(blocks[low][0])), id) == 0 { return (low, 0) }
    guard low > 0 else { return (0, 0) }
    let block = blocks[low - 1]
    var first = 0
    var end = block.count
    while first < end {
      let middle = (first + end) / 2
      if idIsAfter(block[middle]) { first = middle + 1 } else { end = middle }
    }
    return (low - 1, first)
  }
}
