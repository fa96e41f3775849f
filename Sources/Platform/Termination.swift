import Glibc
import Synchronization

/// Handles SIGTERM and SIGINT. Until there is something to drain they end the process with status 0; from then on they
/// drain it.
public final class Termination: Sendable {
  private let drain = Mutex<(@Sendable () -> Void)?>(nil)
  private let signals = Signals()

  /// - Parameter log: takes a line, without a line break, that says what a signal did. It is called on a thread of
  ///   Dispatch.
  public init(_ log: @escaping @Sendable (String) -> Void) {
    signals.handle([SIGTERM, SIGINT]) { [self] _ in
      guard let drain = drain.withLock({ $0 }) else {
        log("stopped before the service was ready")
        exit(0)
      }
      log("draining: no longer ready, finishing requests in flight")
      drain()
    }
  }

  /// From now on each signal runs `action`, on a thread of Dispatch.
  public func whenAsked(_ action: @escaping @Sendable () -> Void) {
    drain.withLock { $0 = action }
  }
}
