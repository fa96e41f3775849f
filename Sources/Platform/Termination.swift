import Dispatch
import Glibc
import Synchronization

/// Handles SIGTERM and SIGINT. Until there is something to drain they end the process with status 0; from then on they
/// drain it.
public final class Termination: Sendable {
  private let drain = Mutex<(@Sendable () -> Void)?>(nil)
  // SAFETY: this is written once, in `init`. The sources are kept because a source that is released no longer handles
  // its signal.
  private nonisolated(unsafe) var sources: [any DispatchSourceSignal] = []

  /// - Parameter log: takes a line, without a line break, that says what a signal did. It is called on a thread of
  ///   Dispatch.
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

  /// From now on each signal runs `action`, on a thread of Dispatch.
  public func whenAsked(_ action: @escaping @Sendable () -> Void) {
    drain.withLock { $0 = action }
  }
}
