import Dispatch
import Synchronization

/// Runs independent pieces of one job on several threads. Pieces are fixed by the caller, so that the result does not
/// depend on how many threads there are or which of them takes a piece.
public struct ParallelLoop: Sendable {
  public let threads: Int

  public init(threads: Int) {
    self.threads = max(1, threads)
  }

  /// Calls `body` with each of 0 ..< count, on at most ``threads`` threads, and waits for all. A call may write only to
  /// what belongs to its index.
  ///
  /// - Throws: ``ProductFailure`` when a call returns false; the pieces that have not begun are then left out.
  public func forEach(_ count: Int, _ body: (Int) -> Bool) throws(ProductFailure) {
    let workers = min(threads, count)
    guard workers > 1 else {
      for index in 0..<max(0, count) where !body(index) { throw ProductFailure() }
      return
    }
    let next = Atomic(0)
    let failed = Atomic(false)
    withoutActuallyEscaping(body) { body in
      // SAFETY: each index is given out once, and callers write only to what belongs to their index; concurrentPerform
      // returns when every call has.
      nonisolated(unsafe) let body = body
      DispatchQueue.concurrentPerform(iterations: workers) { _ in
        while !failed.load(ordering: .relaxed) {
          let index = next.add(1, ordering: .relaxed).oldValue
          guard index < count else { return }
          if !body(index) { failed.store(true, ordering: .relaxed) }
        }
      }
    }
    if failed.load(ordering: .relaxed) { throw ProductFailure() }
  }
}
