/// The slots in the order of their records' ids, in blocks that copies share: finds a slot by id and lists in order.
///
/// The ids themselves are in the records, which every call is given: a million ids take 4 to 8 MB here. A look-up is some
/// twenty comparisons.
struct IDOrder: Sendable {
  private static let mostInBlock = 512

  /// Ascending within a block and from block to block; no block is empty.
  private var blocks: [[UInt32]] = []

  init() {}

  /// - Parameter slots: in the order of their ids, each id once.
  init(sorted slots: [Int]) {
    // Half full, so that the next insertions do not split.
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
    return IDBytes.compare(records[slot]?.id ?? "", id) == 0 ? slot : nil
  }

  /// At most `limit` slots whose ids come after `after`, in order.
  func slots(after: String?, limit: Int, in records: RecordBlocks) -> [Int] {
    var place = after.map { lowerBound($0, records) } ?? (block: 0, offset: 0)
    var found: [Int] = []
    while place.block < blocks.count, found.count < limit {
      let block = blocks[place.block]
      for slot in block[min(place.offset, block.count)...] where found.count < limit {
        if let after, IDBytes.compare(records[Int(slot)]?.id ?? "", after) == 0 { continue }
        found.append(Int(slot))
      }
      place = (place.block + 1, 0)
    }
    return found
  }

  /// Adds `slot`, whose record is in `records` and whose id is not here yet.
  mutating func insert(_ slot: Int, in records: RecordBlocks) {
    guard let id = records[slot]?.id else { return }
    let place = lowerBound(id, records)
    let value = UInt32(truncatingIfNeeded: slot)
    guard place.block < blocks.count else {
      blocks.append([value])
      return
    }
    blocks[place.block].insert(value, at: place.offset)
    guard blocks[place.block].count > Self.mostInBlock else { return }
    // What comes in ascending order fills its blocks; elsewhere both halves have room.
    let atTheEnd = place.block == blocks.count - 1 && place.offset == blocks[place.block].count - 1
    let kept = atTheEnd ? Self.mostInBlock : Self.mostInBlock / 2
    let moved = Array(blocks[place.block][kept...])
    // Copied, so that the room that growing took for more is given back.
    blocks[place.block] = Array(blocks[place.block][..<kept])
    blocks.insert(moved, at: place.block + 1)
  }

  /// Takes out the slot of the record with this id, while `records` still has it.
  ///
  /// - Returns: the slot; nil when there is none.
  mutating func remove(_ id: String, in records: RecordBlocks) -> Int? {
    let place = lowerBound(id, records)
    guard place.block < blocks.count, place.offset < blocks[place.block].count else { return nil }
    let slot = Int(blocks[place.block][place.offset])
    guard IDBytes.compare(records[slot]?.id ?? "", id) == 0 else { return nil }
    blocks[place.block].remove(at: place.offset)
    if blocks[place.block].isEmpty { blocks.remove(at: place.block) }
    return slot
  }

  /// Where `id` is, or would be inserted: in the last block whose first id is not after it.
  private func lowerBound(_ id: String, _ records: RecordBlocks) -> (block: Int, offset: Int) {
    func idIsAfter(_ slot: UInt32) -> Bool { IDBytes.compare(records[Int(slot)]?.id ?? "", id) < 0 }
    guard !blocks.isEmpty else { return (0, 0) }
    var low = 0
    var high = blocks.count
    // The first block that begins at or after the id.
    while low < high {
      let middle = (low + high) / 2
      if idIsAfter(blocks[middle][0]) { low = middle + 1 } else { high = middle }
    }
    if low < blocks.count, IDBytes.compare(records[Int(blocks[low][0])]?.id ?? "", id) == 0 { return (low, 0) }
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
