import CLinux
import Platform

/// Ends the loop's sleep from another thread or from a signal handler.
final class Wakeup: Sendable {
  /// Readable after `signal`.
  let descriptor: Int32

  init() throws(ServerError) {
    descriptor = clinux_eventfd()
    guard descriptor >= 0 else {
      throw ServerError(operation: "eventfd", code: -descriptor, message: systemMessage(-descriptor))
    }
  }

  deinit { Socket(descriptor: descriptor).close() }

  func signal() { clinux_eventfd_signal(descriptor) }

  func clear() { clinux_eventfd_clear(descriptor) }
}
