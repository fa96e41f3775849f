import JSON

/// Sets of byte strings with values, as tries that share one table of edges with open addressing. It serves to find the
/// longest string of a set that a text starts with.
struct ByteTrie: Sendable {
  /// Node 0 has no edges, and stands for a walk that has left the set.
  static let none: UInt32 = 0

  /// Marks a node at which a string ends or that is a root. Of most nodes, ``values`` need not be looked at then. It is
  /// above the 24 bits of a node's number, and is lost where a byte is put behind them.
  private static let mayEnd: UInt32 = 1 << 31

  /// An edge has node << 8 | byte in its upper half and the next node in its lower half; 0 is a free place.
  private var edges: [UInt64]
  /// The shift that leaves as many bits of a hash as the table has address bits.
  private var shift: UInt64
  private var used = 0
  /// The value of the string that ends at each node; -1 where none does.
  private var values: [Int32] = [-1]

  /// The most bytes of all strings of a trie: each may need two nodes, one in either set of a vocabulary.
  static let mostBytes = (1 << 23) - 3

  init() {
    edges = [UInt64](repeating: 0, count: 64)
    shift = 64 - 6
  }

  /// Adds a node to which no edge leads: the root of a new set.
  mutating func addRoot() -> UInt32 { addNode() | Self.mayEnd }

  private mutating func addNode() -> UInt32 {
    values.append(-1)
    return UInt32(truncatingIfNeeded: values.count - 1)
  }

  /// Adds a string to the set of `root`. A later value for the same string replaces the earlier one.
  mutating func insert(_ bytes: some Collection<UInt8>, root: UInt32, value: Int32) {
    var node = root
    var last: UInt32?
    for byte in bytes {
      let key = node << 8 | UInt32(byte)
      var next = step(node, byte)
      if next == Self.none {
        next = addNode()
        put(UInt64(key) << 32 | UInt64(next))
      }
      node = next
      last = key
    }
    if let last { edges[find(last)] |= UInt64(Self.mayEnd) }
    values[Int(node & ~Self.mayEnd)] = value
  }

  /// The value of the string that ends at a node; -1 where none does.
  @inline(__always)
  func value(at node: UInt32) -> Int32 { node & Self.mayEnd == 0 ? -1 : values[Int(node & ~Self.mayEnd)] }

  /// The node that the edge leads to; ``none`` when there is no such edge.
  @inline(__always)
  func step(_ node: UInt32, _ byte: UInt8) -> UInt32 {
    UInt32(truncatingIfNeeded: edges[find(node << 8 | UInt32(byte))])
  }

  /// The place of the edge with a key in its upper half, or the free place where it would be.
  @inline(__always)
  private func find(_ key: UInt32) -> Int {
    var slot = Self.slot(key, shift)
    let mask = edges.count &- 1
    return edges.withUnsafeBufferPointer { edges in
      // SAFETY: the mask keeps every slot within the table.
      while true {
        let edge = edges[slot]
        if UInt32(truncatingIfNeeded: edge >> 32) == key || edge == 0 { return slot }
        slot = (slot &+ 1) & mask
      }
    }
  }

  @inline(__always)
  private static func slot(_ key: UInt32, _ shift: UInt64) -> Int {
    Int(truncatingIfNeeded: (UInt64(key) &* 0x9E37_79B9_7F4A_7C15) &>> shift)
  }

  private mutating func put(_ edge: UInt64) {
    // The table is at most half full, so that a search for a missing edge ends soon.
    if (used + 1) * 2 > edges.count {
      let old = edges
      edges = [UInt64](repeating: 0, count: old.count * 2)
      shift -= 1
      for edge in old where edge != 0 { place(edge) }
    }
    place(edge)
    used += 1
  }

  private mutating func place(_ edge: UInt64) {
    var slot = Self.slot(UInt32(truncatingIfNeeded: edge >> 32), shift)
    while edges[slot] != 0 { slot = (slot + 1) & (edges.count - 1) }
    edges[slot] = edge
  }
}

extension JSONField {
  /// Rejects a field whose strings a ``ByteTrie`` has no room for. Vocabularies have a few megabytes of text.
  func refuseBeyondTrie(_ texts: [String]) throws(FieldError) {
    guard texts.reduce(0, { $0 + $1.utf8.count }) <= ByteTrie.mostBytes else {
      throw refused("has more than \(ByteTrie.mostBytes) bytes of text")
    }
  }
}
