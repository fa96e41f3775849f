#if os(Linux)
  import CLinux
  import Glibc
#else
  import Darwin
#endif

/// Ends the loop's sleep from another thread or from a signal handler.
final class Wakeup: Sendable {
  /// Readable after `signal`.
  let descriptor: Int32
  private let writer: Int32

  init() throws(ServerError) {
    #if os(Linux)
      descriptor = clinux_eventfd()
      writer = descriptor
      guard descriptor >= 0 else {
        throw ServerError(operation: "eventfd", code: -descriptor, message: String(cString: strerror(-descriptor)))
      }
    #else
      var ends: [Int32] = [-1, -1]
      guard pipe(&ends) == 0 else {
        throw ServerError(operation: "pipe", code: errno, message: String(cString: strerror(errno)))
      }
      for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
      (descriptor, writer) = (ends[0], ends[1])
    #endif
  }

  deinit {
    Socket(descriptor: descriptor).close()
    if writer != descriptor { Socket(descriptor: writer).close() }
  }

  func signal() {
    #if os(Linux)
      clinux_eventfd_signal(writer)
    #else
      var byte: UInt8 = 1
      _ = write(writer, &byte, 1)
    #endif
  }

  func clear() {
    #if os(Linux)
      clinux_eventfd_clear(descriptor)
    #else
      var bytes: (UInt64, UInt64) = (0, 0)
      while read(descriptor, &bytes, 16) == 16 {}
    #endif
  }
}
