import SimilarityCore
import Synchronization

/// What the pieces of a parallel loop found, each in its place.
final class Results<Value: Sendable>: Sendable {
  private let values: Mutex<[Value?]>

  private init(count: Int) {
    values = Mutex([Value?](repeating: nil, count: count))
  }

  /// Runs `body` for 0 ..< `count` on the loop's threads.
  ///
  /// - Returns: the results in order; nil when one of them is nil.
  static func of(_ count: Int, _ loop: ParallelLoop, _ body: (Int) -> Value?) -> [Value]? {
    let results = Results(count: count)
    do {
      try loop.forEach(count) { index in
        guard let value = body(index) else { return false }
        results.values.withLock { $0[index] = value }
        return true
      }
    } catch {
      return nil
    }
    return results.values.withLock { $0.compactMap(\.self) }
  }
}
