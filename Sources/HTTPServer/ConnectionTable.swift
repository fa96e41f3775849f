/// The open connections, found by token: slot number below, generation above. A token of a closed connection finds
/// nothing, whoever has the slot now.
struct ConnectionTable {
  private var slots: [Connection?] = []
  private var generations: [UInt32] = []
  private var free: [Int] = []

  /// Connections in the table.
  var count: Int { slots.count - free.count }

  /// Opens a slot for what `make` returns for the new token.
  mutating func insert(_ make: (UInt64) -> Connection) -> Connection {
    let slot = free.popLast() ?? slots.count
    if slot == slots.count {
      slots.append(nil)
      generations.append(0)
    }
    let connection = make(UInt64(generations[slot]) << 32 | UInt64(slot))
    slots[slot] = connection
    return connection
  }

  subscript(token: UInt64) -> Connection? {
    let slot = Int(token & 0xffff_ffff)
    guard slot < slots.count, generations[slot] == UInt32(token >> 32) else { return nil }
    return slots[slot]
  }

  mutating func remove(_ token: UInt64) {
    guard self[token] != nil else { return }
    let slot = Int(token & 0xffff_ffff)
    slots[slot] = nil
    // The two highest tokens belong to the listener and the wake-up; 31 bits keep clear of them.
    generations[slot] = (generations[slot] &+ 1) & 0x7fff_ffff
    free.append(slot)
  }

  /// Every open connection.
  var all: [Connection] { slots.compactMap { $0 } }
}
