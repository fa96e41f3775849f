/// A set of numbers below 4,096: a sorted list while it is small, then a bitmap. Copies share it until one changes.
enum PostingBlock: Sendable {
  /// Ascending, at most ``listLimit``.
  case list([UInt16])
  /// 64 words; bit n % 64 of word n / 64 is n.
  case bitmap([UInt64])

  /// Numbers in a block.
  static let size = 4096
  /// A list of this length takes half of a bitmap.
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
      self = .empty  // so that `list` is not shared, and changes in place
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

  /// Sets the bits of this block, whose first number is bit 0 of word `base`; bits beyond the last word are left out.
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
  /// The first index whose element fulfils `condition`, which holds for all after one for which it holds.
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
