import Dispatch
import Platform
import Service
import Synchronization

/// Writes the lines of a log to standard error on a thread of its own, so that nobody who has something to say waits for whoever
/// reads it.
///
/// Lines are kept up to a limit. What comes beyond it is dropped and counted, and a line says so when there is room again.
final class LogWriter: Sendable {
  /// Bytes of lines that may wait to be written. As many may be on their way already.
  private static let room = 4 << 20
  /// More of them for lines that are not about single requests.
  private static let reserve = 64 << 10
  /// Bytes of storage that are kept for the next lines.
  private static let spare = 1 << 20
  /// After a write the writer rests for this long, in milliseconds, so that lines are written many at a time when many come.
  private static let rest = 20

  private struct State {
    var waiting: LogText
    /// Storage of lines that have been written.
    var spare: [UInt8] = []
    /// The writer is at work or will be.
    var isAwake = false
    /// Lines that were dropped since the last time that this was said.
    var dropped = 0
  }

  private let queue = DispatchQueue(label: "nearfar.log")
  private let state: Mutex<State>
  private let lost = Atomic(0)

  init(_ form: LogText.Form) { state = Mutex(State(waiting: LogText(form))) }

  /// Lines that have been dropped, because nobody read them in time or they could not be written.
  var linesDropped: Int { lost.load(ordering: .relaxed) }

  func write(_ level: StaticString, _ message: String) {
    add(room: Self.room + Self.reserve) { text in
      text.begin(SystemClock.timestamp, level: level, message)
      text.end()
    }
  }

  /// Writes the line of a request.
  func write(request members: (inout LogText) -> Void) {
    add(room: Self.room) { text in
      text.begin(SystemClock.timestamp, level: "info", "request")
      members(&text)
      text.end()
    }
  }

  /// Waits until everything is written, or until the time is over because nobody reads it.
  func flush(seconds: Double) {
    let done = DispatchSemaphore(value: 0)
    queue.async {
      self.writeWaiting()
      done.signal()
    }
    _ = done.wait(timeout: .now() + seconds)
  }

  private func add(room: Int, _ line: (inout LogText) -> Void) {
    let wakes = state.withLock { state in
      guard state.waiting.bytes.count < room else {
        state.dropped += 1
        lost.wrappingAdd(1, ordering: .relaxed)
        return false
      }
      line(&state.waiting)
      defer { state.isAwake = true }
      return !state.isAwake
    }
    if wakes { queue.async { self.work() } }
  }

  /// Writes what waits, and looks again after a rest until nothing does.
  private func work() {
    guard writeWaiting() else { return }
    queue.asyncAfter(deadline: .now() + .milliseconds(Self.rest)) { self.work() }
  }

  /// - Returns: false when there was nothing to write.
  @discardableResult
  private func writeWaiting() -> Bool {
    let (lines, dropped) = state.withLock { state in
      defer { state.dropped = 0 }
      if state.waiting.isEmpty { state.isAwake = false }
      var spare: [UInt8] = []
      swap(&spare, &state.spare)
      return (state.waiting.take(leaving: spare), state.dropped)
    }
    guard !lines.isEmpty else { return false }
    emit(lines)
    keep(lines)
    if dropped > 0 {
      write("error", "\(counted(dropped, "line")) of the log were dropped, because nobody read them in time")
    }
    return true
  }

  /// Keeps the storage, unless it had to become large.
  private func keep(_ lines: consuming [UInt8]) {
    guard lines.capacity <= Self.spare else { return }
    let lines = lines
    state.withLock { $0.spare = lines }
  }

  private func emit(_ lines: [UInt8]) {
    var rest = lines[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { systemWrite(STDERR_FILENO, $0) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        // Another process may have made the pipe that both write to non-blocking.
        var descriptor = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        _ = poll(&descriptor, 1, 1000)
      } else if errno != EINTR {
        lost.wrappingAdd(rest.count { $0 == UInt8(ascii: "\n") }, ordering: .relaxed)
        return
      }
    }
  }
}
