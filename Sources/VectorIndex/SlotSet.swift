import SimilarityCore

/// A set of slots as a bitmap with one bit for each slot up to the largest.
public struct SlotSet: Sendable, Equatable {
  /// Bit s % 64 of word s / 64 stands for slot s.
  public private(set) var words: [UInt64]
  public private(set) var count = 0

  public init() { words = [] }

  /// The slots whose bits are set: bit s % 64 of word s / 64 stands for slot s.
  public init(words: [UInt64]) {
    self.words = words
    recount()
  }

  /// The slots 0 ..< `bound`.
  public init(below bound: Int) {
    let bound = max(0, bound)
    words = [UInt64](repeating: .max, count: bound / 64)
    if bound % 64 != 0 { words.append((1 << UInt64(bound % 64)) - 1) }
    count = bound
  }

  public var isEmpty: Bool { count == 0 }

  public func contains(_ slot: Int) -> Bool {
    guard slot >= 0, slot / 64 < words.count else { return false }
    return words[slot / 64] >> UInt64(slot % 64) & 1 == 1
  }

  public mutating func insert(_ slot: Int) {
    guard slot >= 0, !contains(slot) else { return }
    if slot / 64 >= words.count { words.append(contentsOf: repeatElement(0, count: slot / 64 + 1 - words.count)) }
    words[slot / 64] |= 1 << UInt64(slot % 64)
    count += 1
  }

  public mutating func remove(_ slot: Int) {
    guard contains(slot) else { return }
    words[slot / 64] &= ~(1 << UInt64(slot % 64))
    count -= 1
  }

  public mutating func formUnion(_ other: SlotSet) {
    if other.words.count > words.count {
      words.append(contentsOf: repeatElement(0, count: other.words.count - words.count))
    }
    for index in other.words.indices { words[index] |= other.words[index] }
    recount()
  }

  public mutating func formIntersection(_ other: SlotSet) {
    if words.count > other.words.count { words.removeLast(words.count - other.words.count) }
    for index in words.indices { words[index] &= other.words[index] }
    recount()
  }

  public mutating func subtract(_ other: SlotSet) {
    for index in 0..<min(words.count, other.words.count) { words[index] &= ~other.words[index] }
    recount()
  }

  /// The words of the intersection with `other`.
  func words(in other: SlotSet) -> [UInt64] { zip(words, other.words).map { $0 & $1 } }

  /// The words of the slots that are not in `other`.
  func words(notIn other: SlotSet) -> [UInt64] {
    zip(words, other.words).map { $0 & ~$1 } + words.dropFirst(other.words.count)
  }

  /// Calls `body` with every slot in ascending order.
  public func forEach(_ body: (Int) -> Void) {
    for (index, word) in words.enumerated() {
      var rest = word
      while rest != 0 {
        body(index * 64 + rest.trailingZeroBitCount)
        rest &= rest - 1
      }
    }
  }

  /// Every slot in ascending order.
  public var all: [Int] {
    var slots: [Int] = []
    slots.reserveCapacity(count)
    forEach { slots.append($0) }
    return slots
  }

  /// The smallest slot; nil for an empty set.
  public var first: Int? {
    words.firstIndex { $0 != 0 }.map { $0 * 64 + words[$0].trailingZeroBitCount }
  }

  private mutating func recount() {
    count = words.withUnsafeBufferPointer { Kernels.active.countOfBits($0) }
  }
}
