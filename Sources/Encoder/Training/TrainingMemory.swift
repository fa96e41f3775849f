import SimilarityCore
import Synchronization

/// Large buffers that are used again in later passes. Fresh memory would have to be cleared by the system page by page.
final class TrainingMemory: Sendable {
  private let idle = Mutex<[AlignedMemory]>([])

  /// A buffer of at least `floats` values, whose content is arbitrary.
  ///
  /// - Throws: ``EncodingFailure/outOfMemory``.
  func take(floats: Int) throws(EncodingFailure) -> AlignedMemory {
    let bytes = 4 * floats
    let found = idle.withLock { idle -> AlignedMemory? in
      let fitting = idle.indices.filter { idle[$0].bytes >= bytes && idle[$0].bytes / 2 <= bytes }
      if let index = fitting.min(by: { idle[$0].bytes < idle[$1].bytes }) { return idle.remove(at: index) }
      // Where sizes change, buffers of sizes that are no longer used must not stay.
      if !idle.isEmpty { idle.removeFirst() }
      return nil
    }
    if let found { return found }
    do throws(OutOfMemory) {
      return try AlignedMemory(bytes: bytes + bytes / 16)
    } catch {
      throw .outOfMemory
    }
  }

  func give(back memory: AlignedMemory) {
    idle.withLock { $0.append(memory) }
  }
}

/// Buffers for some values of each token of a pass, one after another in one piece of memory.
struct BufferPlan: Sendable {
  /// The values of a token in all buffers.
  private(set) var floats = 0

  /// Adds a buffer of `width` values for each token.
  ///
  /// - Returns: its place, to be multiplied by the number of tokens.
  mutating func add(_ width: Int) -> Int {
    defer { floats += (width + 15) / 16 * 16 }
    return floats
  }
}
