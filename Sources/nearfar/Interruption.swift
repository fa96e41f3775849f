import Dispatch
import Platform
import Synchronization

/// SIGINT and SIGTERM, for a command that finishes what it is at before it ends. A second signal ends the process at once.
final class Interruption: Sendable {
  private let number = Atomic<Int32>(0)
  // SAFETY: this is written once, in `init`. The sources are kept because a source that is released no longer handles its signal.
  private nonisolated(unsafe) var sources: [any DispatchSourceSignal] = []

  init() {
    sources = [SIGTERM, SIGINT].map { number in
      Platform.signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { [self] in
        if self.number.exchange(number, ordering: .relaxed) != 0 { _exit(128 + number) }
        Log().plain("\nnearfar: finishing the step and writing a checkpoint; a second signal ends at once")
      }
      source.resume()
      return source
    }
  }

  /// The signal that came; nil before.
  var signal: Int32? {
    let number = number.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }
}
