import Platform

/// A descriptor held back for the moment the process has no other: giving it up makes room to accept one connection and
/// close it, which tells the client more than silence.
struct SpareDescriptor: ~Copyable {
  private var descriptor: Int32

  init() {
    descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
  }

  deinit {
    if descriptor >= 0 { Socket(descriptor: descriptor).close() }
  }

  /// True when a connection was taken off the queue and closed.
  mutating func shed(_ listener: Listener) -> Bool {
    guard descriptor >= 0 else { return false }
    Socket(descriptor: descriptor).close()
    defer { descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC) }
    guard case .accepted(let socket) = listener.accept() else { return false }
    socket.close()
    return true
  }
}
