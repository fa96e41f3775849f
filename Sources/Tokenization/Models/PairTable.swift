/// The merges of byte-pair encoding: for two ids next to each other, the rank of their merge and the id that they become.
/// A table with open addressing, at most half full.
struct PairTable: Sendable {
  /// What stands for no merge; it comes after all ranks.
  static let none: UInt64 = .max

  /// A key and its value are side by side, so that a merge is found with one access to memory.
  private struct Entry {
    /// The two ids; all bits are set where a place is free.
    var key: UInt64
    /// The rank in the upper half and the new id in the lower half.
    var value: UInt64
  }

  private var entries: [Entry]
  private let shift: UInt64

  init(capacity: Int) {
    var bits: UInt64 = 4
    while 1 << bits < capacity * 2 + 2 { bits += 1 }
    entries = [Entry](repeating: Entry(key: .max, value: Self.none), count: 1 << bits)
    shift = 64 - bits
  }

  @inline(__always)
  private func slot(_ key: UInt64) -> Int { Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> shift) }

  @inline(__always)
  private static func key(_ first: Int32, _ second: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: first)) << 32 | UInt64(UInt32(bitPattern: second))
  }

  /// Adds a merge; a later one of the same ids replaces the earlier one. There must be room for it.
  mutating func insert(_ first: Int32, _ second: Int32, rank: UInt32, id: Int32) {
    let key = Self.key(first, second)
    var slot = slot(key)
    while entries[slot].key != .max && entries[slot].key != key { slot = (slot + 1) & (entries.count - 1) }
    entries[slot] = Entry(key: key, value: UInt64(rank) << 32 | UInt64(UInt32(bitPattern: id)))
  }

  /// The rank in the upper half and the new id in the lower half; ``none`` when the two are not merged.
  @inline(__always)
  func merge(_ first: Int32, _ second: Int32) -> UInt64 {
    let key = Self.key(first, second)
    var slot = slot(key)
    let mask = entries.count &- 1
    return entries.withUnsafeBufferPointer { entries in
      // SAFETY: the mask keeps every slot within the table.
      while true {
        let entry = entries[slot]
        if entry.key == key { return entry.value }
        if entry.key == .max { return Self.none }
        slot = (slot &+ 1) & mask
      }
    }
  }
}
