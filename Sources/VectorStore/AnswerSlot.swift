import Dispatch
import Synchronization

/// Where a caller waits for one answer.
final class AnswerSlot: Sendable {
  private let answer = Mutex<Result<Committed, StoreError>?>(nil)
  private let arrived = DispatchSemaphore(value: 0)

  func put(_ result: Result<Committed, StoreError>) {
    answer.withLock { $0 = result }
    arrived.signal()
  }

  func wait() -> Result<Committed, StoreError> {
    arrived.wait()
    return answer.withLock { $0 } ?? .failure(.unavailable("no answer"))
  }
}
