import Platform

/// Different texts, each stored once as UTF-8 and known by its number, in the order in which they first appeared.
///
/// Training sets repeat texts, and batches must not have a text twice: with numbers, comparing texts is comparing integers.
/// A text needs its own bytes, 8 more, and while texts are being added about 8 further ones.
struct TextTable: Sendable {
  private var bytes: [UInt8] = []
  /// One past the last byte of each text.
  private var ends: [Int] = []
  /// Open addressing with linear probing: the number of a text, or -1. The size is a power of two.
  private var slots: [Int32] = []

  /// The number of different texts.
  var count: Int { ends.count }

  /// The text of a number.
  subscript(number: Int) -> String { String(decoding: bytes[range(number)], as: UTF8.self) }

  private func range(_ number: Int) -> Range<Int> { (number == 0 ? 0 : ends[number - 1])..<ends[number] }

  /// Makes room for texts of so many bytes in all. An array that grew by doubling would take up to three times as much for a
  /// moment; memory that is not written in the end is never taken from the system.
  mutating func reserve(bytes count: Int) { bytes.reserveCapacity(min(count, 1 << 32)) }

  /// The number of a text, which is added where it is new; nil where there are as many texts as numbers.
  mutating func number(of text: some Sequence<UInt8>) -> Int32? {
    // Texts are appended first and taken away again where they are known, which saves a copy of every new text.
    let start = bytes.count
    bytes.append(contentsOf: text)
    if 2 * (count + 1) > slots.count { grow() }
    var slot = Int(truncatingIfNeeded: hash(of: start..<bytes.count)) & (slots.count - 1)
    while slots[slot] >= 0 {
      if isEqual(range(Int(slots[slot])), start..<bytes.count) {
        bytes.removeLast(bytes.count - start)
        return slots[slot]
      }
      slot = (slot + 1) & (slots.count - 1)
    }
    guard let number = Int32(exactly: count) else { return nil }
    slots[slot] = number
    ends.append(bytes.count)
    return number
  }

  /// Gives back the memory that is needed only to add texts. No text can be added behind this.
  mutating func finish() { slots = [] }

  private mutating func grow() {
    slots = [Int32](repeating: -1, count: max(1024, 2 * slots.count))
    for number in 0..<count {
      var slot = Int(truncatingIfNeeded: hash(of: range(number))) & (slots.count - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = Int32(number)
    }
  }

  /// A multiplicative hash over words of 8 bytes. It only decides where a text is looked for; equality is by content.
  private func hash(of range: Range<Int>) -> UInt64 {
    bytes.withUnsafeBytes { all in
      var hash = UInt64(range.count)
      func mix(_ word: UInt64) {
        hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 32
      }
      var at = range.lowerBound
      while at + 8 <= range.upperBound {
        mix(all.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        at += 8
      }
      var rest: UInt64 = 0
      while at < range.upperBound {
        rest = rest << 8 | UInt64(all[at])
        at += 1
      }
      mix(rest)
      return hash
    }
  }

  private func isEqual(_ one: Range<Int>, _ other: Range<Int>) -> Bool {
    guard one.count == other.count else { return false }
    return bytes.withUnsafeBytes { all in
      // SAFETY: both ranges lie within the bytes.
      guard let base = all.baseAddress else { return true }
      return memcmp(base + one.lowerBound, base + other.lowerBound, one.count) == 0
    }
  }
}
