/// A set of slots, such as those that have the same value of a field. A small set takes a few bytes for each slot, and
/// copies share memory until one of them changes.
enum Postings: Sendable {
  case one(UInt32)
  /// Ascending, at most ``fewLimit`` of them, possibly none.
  case few([UInt32])
  /// Slot s is number s % 4,096 of block s / 4,096.
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
      self = .none  // gives up the second reference to `slots`, which then changes in place
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

  /// Sets the bits of these slots; slots beyond the last word are skipped.
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

/// A set of numbers below 4,096: a sorted list while it is small, then a bitmap.
enum PostingBlock: Sendable {
  /// Ascending, at most ``listLimit`` of them.
  case list([UInt16])
  /// 64 words; bit n % 64 of word n / 64 stands for n.
  case bitmap([UInt64])

  /// How many numbers a block covers.
  static let size = 4096
  /// A list of this length takes half the memory of a bitmap.
  static let listLimit = 128

  static let empty = PostingBlock.list([])

  var isEmpty: Bool {
    switch self {
    case .list(let list): list.isEmpty
    case .bitmap(let words): words.allSatisfy { $0 == 0 }
    }
  }

  mutating func insert(_ number: UInt16) {
    switch self {
    case .list(var list):
      self = .empty  // gives up the second reference to `list`, which then changes in place
      let at = list.firstPosition { $0 >= number }
      if at == list.count || list[at] != number { list.insert(number, at: at) }
      self = list.count <= Self.listLimit ? .list(list) : .bitmap(Self.words(of: list))
    case .bitmap(var words):
      self = .empty
      words[Int(number >> 6) & 63] |= 1 << UInt64(number & 63)
      self = .bitmap(words)
    }
  }

  mutating func remove(_ number: UInt16) {
    switch self {
    case .list(var list):
      self = .empty
      let at = list.firstPosition { $0 >= number }
      if at < list.count, list[at] == number { list.remove(at: at) }
      self = .list(list)
    case .bitmap(var words):
      self = .empty
      words[Int(number >> 6) & 63] &= ~(1 << UInt64(number & 63))
      if words.contains(where: { $0 != 0 }) { self = .bitmap(words) }
    }
  }

  private static func words(of list: [UInt16]) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: size / 64)
    for number in list { words[Int(number >> 6) & 63] |= 1 << UInt64(number & 63) }
    return words
  }

  /// Sets the bits of this block, whose number 0 is bit 0 of word `base`; bits beyond the last word are skipped.
  func add(to words: inout [UInt64], base: Int) {
    switch self {
    case .list(let list):
      for number in list {
        let word = base + Int(number >> 6)
        if word < words.count { words[word] |= 1 << UInt64(number & 63) }
      }
    case .bitmap(let bitmap):
      for (offset, bits) in bitmap.enumerated() where base + offset < words.count { words[base + offset] |= bits }
    }
  }
}

extension RandomAccessCollection where Index == Int {
  /// The first index whose element fulfils `condition`, or `endIndex`, by binary search: every element after one that
  /// fulfils it must fulfil it too.
  @inline(__always)
  func firstPosition(where condition: (Element) -> Bool) -> Int {
    var (low, high) = (startIndex, endIndex)
    while low < high {
      let middle = low + (high - low) / 2
      if condition(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
