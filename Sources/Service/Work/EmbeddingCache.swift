import Encoder
import Platform
import Synchronization

/// Vectors of token sequences that have been encoded before, as many as fit into a number of bytes.
///
/// A sequence is found by the first 128 bits of SHA-256 over the encoder's fingerprint and the tokens: no two sequences that anyone
/// could find share them, and vectors of another model, or of another precision, are never given out. What has not been asked for
/// is replaced first (CLOCK; Corbató, "A paging experiment with the Multics system", 1968).
package final class EmbeddingCache: Sendable {
  package struct Key: Hashable, Sendable {
    fileprivate let digest: SIMD2<UInt64>
  }

  private struct Entry {
    var key: Key
    var row: [Float]
    /// Asked for since the hand passed by.
    var wasUsed = false
  }

  private struct State {
    var places: [Key: Int] = [:]
    var entries: [Entry] = []
    /// The entry that is looked at next for replacement.
    var hand = 0
    var statistics = Statistics()
  }

  /// What the cache has done, for the metrics.
  package struct Statistics: Equatable {
    package var vectors = 0
    package var bytes = 0
    package var hits = 0
    package var misses = 0
    package var evictions = 0

    static func + (a: Statistics, b: Statistics) -> Statistics {
      Statistics(
        vectors: a.vectors + b.vectors, bytes: a.bytes + b.bytes, hits: a.hits + b.hits, misses: a.misses + b.misses,
        evictions: a.evictions + b.evictions)
    }
  }

  /// An entry's key, its place in the table and the head of its row, in bytes.
  private static let overhead = 144

  private let fingerprint: [UInt8]
  private let bytesPerEntry: Int
  private let capacity: Int
  private let state = Mutex(State())

  /// - Parameters:
  ///   - bytes: the most memory that is taken. It is taken as vectors come in. One vector is kept in any case.
  ///   - fingerprint: of the encoder.
  package init(bytes: Int, dimension: Int, fingerprint: String) {
    self.fingerprint = Array(fingerprint.utf8)
    bytesPerEntry = dimension * MemoryLayout<Float>.stride + Self.overhead
    capacity = max(1, bytes / bytesPerEntry)
  }

  package var statistics: Statistics {
    state.withLock { state in
      var statistics = state.statistics
      statistics.vectors = state.entries.count
      statistics.bytes = state.entries.count * bytesPerEntry
      return statistics
    }
  }

  /// - Returns: nil when the cryptographic library fails, for want of memory.
  package func key(of sequence: TokenSequence) -> Key? {
    guard let bytes = try? digest(of: sequence) else { return nil }
    func word(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
    return Key(digest: SIMD2(word(0..<8), word(8..<16)))
  }

  private func digest(of sequence: TokenSequence) throws(DigestFailure) -> [UInt8] {
    var hash = try SHA256()
    hash.add(fingerprint)
    Self.numbers(of: sequence).withUnsafeBytes { hash.add($0) }
    return try hash.digest()
  }

  /// The ids, and what else the vector depends on behind a number that is no id.
  private static func numbers(of sequence: TokenSequence) -> [Int32] {
    guard !sequence.types.isEmpty || sequence.unpooled > 0 else { return sequence.ids }
    return sequence.ids + [-1, Int32(truncatingIfNeeded: sequence.unpooled)] + sequence.types
  }

  /// The vectors that are there, not normalised; nil for one that is not, and for no key.
  package func rows(of keys: [Key?]) -> [[Float]?] {
    state.withLock { state in
      keys.map { key in
        guard let key, let place = state.places[key] else {
          state.statistics.misses += 1
          return nil
        }
        state.statistics.hits += 1
        state.entries[place].wasUsed = true
        return state.entries[place].row
      }
    }
  }

  /// Keeps a vector, in place of another one where there is no room.
  package func keep(_ row: [Float], of key: Key) {
    state.withLock { state in
      guard state.places[key] == nil else { return }
      guard state.entries.count == capacity else {
        state.places[key] = state.entries.count
        state.entries.append(Entry(key: key, row: row))
        return
      }
      while state.entries[state.hand].wasUsed {
        state.entries[state.hand].wasUsed = false
        state.hand = (state.hand + 1) % capacity
      }
      state.places[state.entries[state.hand].key] = nil
      state.places[key] = state.hand
      state.entries[state.hand] = Entry(key: key, row: row)
      state.hand = (state.hand + 1) % capacity
      state.statistics.evictions += 1
    }
  }
}
