/// The slots that have something in common. Few of them cost a few bytes each; copies share what does not change.
enum Postings: Sendable {
  case one(UInt32)
  /// Ascending, at most ``fewLimit``; maybe none.
  case few([UInt32])
  /// Block s / 4,096 holds s % 4,096.
  case many([PostingBlock])

  static let fewLimit = 256
  static let none = Postings.few([])

  var isEmpty: Bool {
    switch self {
    case .one: false
    case .few(let slots): slots.isEmpty
    case .many(let blocks): blocks.allSatisfy(\.isEmpty)
    }
  }

  mutating func insert(_ slot: UInt32) {
    switch self {
    case .one(let other):
      if other != slot { self = .few(other < slot ? [other, slot] : [slot, other]) }
    case .few(var slots):
      if slots.isEmpty {
        self = .one(slot)
        return
      }
      self = .none  // so that `slots` is not shared, and changes in place
      let at = slots.firstPosition { $0 >= slot }
      if at == slots.count || slots[at] != slot { slots.insert(slot, at: at) }
      self = slots.count <= Self.fewLimit ? .few(slots) : .many(Self.blocks(of: slots))
    case .many(var blocks):
      self = .none
      Self.insert(slot, into: &blocks)
      self = .many(blocks)
    }
  }

  mutating func remove(_ slot: UInt32) {
    switch self {
    case .one(let other):
      if other == slot { self = .none }
    case .few(var slots):
      self = .none
      let at = slots.firstPosition { $0 >= slot }
      if at < slots.count, slots[at] == slot { slots.remove(at: at) }
      self = .few(slots)
    case .many(var blocks):
      self = .none
      let index = Int(slot) / PostingBlock.size
      if index < blocks.count { blocks[index].remove(UInt16(slot % UInt32(PostingBlock.size))) }
      while blocks.last?.isEmpty == true { blocks.removeLast() }
      self = blocks.isEmpty ? .none : .many(blocks)
    }
  }

  /// Sets the bits of these slots; those beyond the last word are left out.
  @inline(__always)
  func add(to words: inout [UInt64]) {
    switch self {
    case .one(let slot): Self.set(slot, in: &words)
    case .few(let slots): for slot in slots { Self.set(slot, in: &words) }
    case .many(let blocks):
      for (index, block) in blocks.enumerated() { block.add(to: &words, base: index * (PostingBlock.size / 64)) }
    }
  }

  @inline(__always)
  private static func set(_ slot: UInt32, in words: inout [UInt64]) {
    let word = Int(slot >> 6)
    if word < words.count { words[word] |= 1 << UInt64(slot & 63) }
  }

  private static func blocks(of slots: [UInt32]) -> [PostingBlock] {
    var blocks: [PostingBlock] = []
    for slot in slots { insert(slot, into: &blocks) }
    return blocks
  }

  private static func insert(_ slot: UInt32, into blocks: inout [PostingBlock]) {
    let index = Int(slot) / PostingBlock.size
    while blocks.count <= index { blocks.append(.empty) }
    blocks[index].insert(UInt16(slot % UInt32(PostingBlock.size)))
  }
}
