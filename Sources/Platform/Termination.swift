import Dispatch
import Glibc
import Synchronization

/// Handles SIGTERM and SIGINT: before there is something to drain they end the process, afterwards they drain it.
public final class Termination: Sendable {
  private let drain = Mutex<(@Sendable () -> Void)?>(nil)
  // SAFETY: written once, in `init`. The sources are kept because a released one no longer handles its signal.
  private nonisolated(unsafe) var sources: [any DispatchSourceSignal] = []

  /// - Parameter log: takes a line that says what a signal did.
  public init(_ log: @escaping @Sendable (String) -> Void) {
    sources = [SIGTERM, SIGINT].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { [self] in
        guard let drain = drain.withLock({ $0 }) else {
          log("stopped before the service was ready")
          exit(0)
        }
        log("draining: no longer ready, finishing requests in flight")
        drain()
      }
      source.resume()
      return source
    }
  }

  /// From now on a signal runs `action`, on a thread of Dispatch.
  public func whenAsked(_ action: @escaping @Sendable () -> Void) {
    drain.withLock { $0 = action }
  }
}
