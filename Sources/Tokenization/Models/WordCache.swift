import Synchronization

/// The ids of words that were read before. A few thousand words make up most of any text, and to look one up is faster
/// than to run the model on it.
///
/// Each word of at most 16 bytes has two places in the table, which the last two such words with up to six tokens hold.
struct WordCache: Sendable {
  /// The bytes of a word, and how many they are.
  struct Key: Equatable, Sendable {
    var low: UInt64
    var high: UInt64
    var length: Int

    /// - Returns: nil for a word that is too long or has no bytes.
    @inline(__always)
    init?(_ word: UnsafeBufferPointer<UInt8>) {
      length = word.count
      guard length <= 16, let start = UnsafeRawPointer(word.baseAddress) else { return nil }
      // SAFETY: each load is of bytes within the word. Where two loads overlap, the length says by how much, so that no
      // two words have the same key.
      if length >= 8 {
        low = start.loadUnaligned(as: UInt64.self)
        high = start.loadUnaligned(fromByteOffset: length &- 8, as: UInt64.self)
      } else if length >= 4 {
        low = UInt64(start.loadUnaligned(as: UInt32.self))
        high = UInt64(start.loadUnaligned(fromByteOffset: length &- 4, as: UInt32.self))
      } else if length > 0 {
        low = UInt64(word[0]) | UInt64(word[length >> 1]) << 8
        high = UInt64(word[length &- 1])
      } else {
        return nil
      }
    }

    @inline(__always)
    fileprivate var slot: Int {
      let mixed = (low ^ (high &* 0x9E37_79B9_7F4A_7C15) ^ UInt64(length)) &* 0xD6E8_FEB8_6659_FD93
      return Int(truncatingIfNeeded: mixed >> UInt64(65 - WordCache.bits)) &* 2
    }
  }

  private struct Entry {
    var low: UInt64 = 0
    var high: UInt64 = 0
    var ids: (Int32, Int32, Int32, Int32, Int32, Int32) = (0, 0, 0, 0, 0, 0)
    /// 0 for a place that is free.
    var length: UInt8 = 0
    var count: UInt8 = 0

    @inline(__always)
    func holds(_ key: Key) -> Bool { low == key.low && high == key.high && Int(length) == key.length }
  }

  /// A third of a core's second-level cache would do for the words of one page; this is more, because to run the model
  /// takes a hundred times as long as to fetch an entry from farther away.
  private static let bits = 15
  private var entries = [Entry](repeating: Entry(), count: 1 << bits)

  /// Appends the ids of a word; returns false when they are not known.
  @inline(__always)
  func append(_ key: Key, to sink: inout TokenSink) -> Bool {
    entries.withUnsafeBufferPointer { entries in
      var slot = key.slot
      if !entries[slot].holds(key) {
        slot &+= 1
        if !entries[slot].holds(key) { return false }
      }
      let entry = entries[slot]
      let ids = entry.ids
      let count = entry.count
      if count > 0 { sink.append(ids.0, 0, 0) }
      if count > 1 { sink.append(ids.1, 0, 0) }
      if count > 2 { sink.append(ids.2, 0, 0) }
      if count > 3 { sink.append(ids.3, 0, 0) }
      if count > 4 { sink.append(ids.4, 0, 0) }
      if count > 5 { sink.append(ids.5, 0, 0) }
      return true
    }
  }

  /// Remembers the ids of a word, if they are few.
  mutating func insert(_ key: Key, _ ids: ArraySlice<Int32>) {
    guard ids.count <= 6 else { return }
    var entry = Entry(low: key.low, high: key.high, length: UInt8(key.length), count: UInt8(ids.count))
    for (index, id) in ids.enumerated() {
      switch index {
      case 0: entry.ids.0 = id
      case 1: entry.ids.1 = id
      case 2: entry.ids.2 = id
      case 3: entry.ids.3 = id
      case 4: entry.ids.4 = id
      default: entry.ids.5 = id
      }
    }
    entries[key.slot + 1] = entries[key.slot]
    entries[key.slot] = entry
  }
}

/// The caches that no thread uses at the moment. A text takes one for as long as it is read, so that words are looked up
/// without a lock.
final class WordCaches: Sendable {
  private let free = Mutex<[WordCache]>([])

  func take() -> WordCache { free.withLock { $0.popLast() } ?? WordCache() }

  func put(_ cache: consuming WordCache) {
    let cache = cache
    free.withLock { if $0.count < 64 { $0.append(cache) } }
  }
}
