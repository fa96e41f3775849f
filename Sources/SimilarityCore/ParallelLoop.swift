import Dispatch
import Synchronization

/// Runs independent pieces of one job on several threads. The caller decides what a piece is, so that the result does
/// not depend on the number of threads or on which of them runs a piece.
public struct ParallelLoop: Sendable {
  /// The most threads that run at once, including the calling one.
  public let threads: Int

  /// - Parameter threads: the number of threads, including the calling one; less than 1 counts as 1.
  public init(threads: Int) {
    self.threads = max(1, threads)
  }

  /// Calls `body` with each of 0 ..< count, on at most ``threads`` threads, and waits for all calls. A call may write
  /// only to what belongs to its index.
  ///
  /// - Throws: what the first failing call threw. Pieces that have not begun by then are left out.
  public func forEachPiece<Failure: Error>(_ count: Int, _ body: (Int) throws(Failure) -> Void) throws(Failure) {
    precondition(count >= 0, "\(count) pieces")
    let workers = min(threads, count)
    guard workers > 1 else {
      for index in 0..<count { try body(index) }
      return
    }
    let next = Atomic(0)
    let hasFailed = Atomic(false)
    let failure = Mutex<Failure?>(nil)
    withoutActuallyEscaping(body) { body in
      // SAFETY: each index is given out once, and callers write only to what belongs to their index. concurrentPerform
      // returns when all calls have returned.
      nonisolated(unsafe) let body = body
      DispatchQueue.concurrentPerform(iterations: workers) { _ in
        while !hasFailed.load(ordering: .relaxed) {
          let index = next.add(1, ordering: .relaxed).oldValue
          guard index < count else { return }
          do throws(Failure) {
            try body(index)
          } catch {
            failure.withLock { $0 = $0 ?? error }
            hasFailed.store(true, ordering: .relaxed)
          }
        }
      }
    }
    if let failure = failure.withLock({ $0 }) { throw failure }
  }
}
