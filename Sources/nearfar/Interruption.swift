import Platform
import Synchronization

/// SIGINT and SIGTERM, for a command that finishes what it is at before it ends. A second signal ends the process at once.
final class Interruption: Sendable {
  private let number = Atomic<Int32>(0)
  private let signals = Signals()

  init() {
    signals.handle([SIGTERM, SIGINT]) { [self] number in
      if self.number.exchange(number, ordering: .relaxed) != 0 { _exit(128 + number) }
      Log().plain("\nnearfar: finishing the step and writing a checkpoint; a second signal ends at once")
    }
  }

  /// The signal that came; nil before.
  var signal: Int32? {
    let number = number.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }
}
