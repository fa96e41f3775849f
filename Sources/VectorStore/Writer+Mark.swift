import Dispatch
import Synchronization

extension Writer {
  /// Notes the commit within a second.
  func noteCommitsSoon() {
    let starts = state.withLock { state in
      defer { state.isNoteDue = true }
      return !state.isNoteDue
    }
    guard starts, mark != nil else { return }
    queue.asyncAfter(deadline: .now() + .seconds(1)) { [weak self] in self?.noteCommits() }
  }

  /// Notes that what was committed is flushed (``CommitMark``). On the queue. When it fails, the next commit leads here again.
  func noteCommits() {
    let isDue = state.withLock { state in
      defer { state.isNoteDue = false }
      return state.isNoteDue
    }
    guard isDue, let mark, let number = try? records.advanceMark() else { return }
    mark.write(number)
  }
}
