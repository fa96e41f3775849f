import Glibc
import Synchronization

/// Stands in for the loop on Dispatch.
public struct ParallelLoop: Sendable {
  public let threads: Int

  public init(threads: Int) { self.threads = max(1, threads) }

  public func forEach(_ count: Int, _ body: (Int) -> Bool) throws(ProductFailure) {
    let workers = min(threads, count)
    guard workers > 1 else {
      for index in 0..<max(0, count) where !body(index) { throw ProductFailure() }
      return
    }
    let next = Shared()
    withoutActuallyEscaping(body) { body in
      // SAFETY: all threads are joined before the closure's life ends.
      nonisolated(unsafe) let body = body
      let started = (0..<workers).map { _ in
        Threads.start {
          while !next.failed.load(ordering: .relaxed) {
            let index = next.index.add(1, ordering: .relaxed).oldValue
            guard index < count else { return }
            if !body(index) { next.failed.store(true, ordering: .relaxed) }
          }
        }
      }
      for thread in started { pthread_join(thread, nil) }
    }
    if next.failed.load(ordering: .relaxed) { throw ProductFailure() }
  }

  private final class Shared: Sendable {
    let index = Atomic(0)
    let failed = Atomic(false)
  }
}
