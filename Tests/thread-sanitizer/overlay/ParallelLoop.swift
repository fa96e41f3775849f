import Glibc
import Synchronization

/// Replaces the loop on Dispatch with one on threads that ThreadSanitizer understands.
public struct ParallelLoop: Sendable {
  public let threads: Int

  public init(threads: Int) { self.threads = max(1, threads) }

  public func forEachPiece<Failure: Error>(_ count: Int, _ body: (Int) throws(Failure) -> Void) throws(Failure) {
    let workers = min(threads, count)
    guard workers > 1 else {
      for index in 0..<count { try body(index) }
      return
    }
    let next = Shared<Failure>()
    withoutActuallyEscaping(body) { body in
      // SAFETY: all threads are joined before this function returns and the closure's lifetime ends.
      nonisolated(unsafe) let body = body
      let started = (0..<workers).map { _ in
        Threads.start {
          while !next.failed.load(ordering: .relaxed) {
            let index = next.index.add(1, ordering: .relaxed).oldValue
            guard index < count else { return }
            do throws(Failure) {
              try body(index)
            } catch {
              if !next.failed.exchange(true, ordering: .relaxed) { next.failure = error }
            }
          }
        }
      }
      for thread in started { pthread_join(thread, nil) }
    }
    if let failure = next.failure { throw failure }
  }

  // SAFETY: only the thread that set `failed` writes the failure, which is read after all threads are joined.
  private final class Shared<Failure: Error>: @unchecked Sendable {
    let index = Atomic(0)
    let failed = Atomic(false)
    var failure: Failure?
  }
}
