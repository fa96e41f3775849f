import CLinux
import Platform

/// A listening socket.
final class Listener: Sendable {
  let descriptor: Int32
  let port: Int

  /// What came of accepting one connection.
  enum Acceptance {
    /// A connected, non-blocking socket, which the caller closes, and the address of its other end.
    case accepted(Int32, SocketAddress?)
    case none
    /// The process or the system is out of descriptors or memory.
    case exhausted
  }

  /// Binds and listens.
  init(host: String, port: Int, backlog: Int) throws(ServerError) {
    let operation = "listen on \(host):\(port)"
    guard (0...65_535).contains(port) else {
      throw ServerError(operation: operation, message: "the port is not between 0 and 65535")
    }
    var hints = addrinfo()
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
    hints.ai_socktype = streamSocket
    var found: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(host, String(port), &hints, &found)
    guard status == 0, let address = found else {
      throw ServerError(operation: operation, code: status, message: String(cString: gai_strerror(status)))
    }
    defer { freeaddrinfo(found) }
    // SAFETY: getaddrinfo succeeded, so the list has an element, alive until freeaddrinfo above.
    let first = address.pointee
    let descriptor = clinux_socket(first.ai_family)
    guard descriptor >= 0 else { throw Self.failure(operation, code: -descriptor) }
    Self.set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
    // The connections that are accepted have these two from the listener, so that none costs a call of its own. Small answers go out at once,
    // instead of when Nagle's algorithm has seen an acknowledgement.
    Self.set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    // What the client's window does not let out yet stays here, where it is one copy of the answer, instead of in the kernel, where a slow
    // client with a small window makes thousands of packets of it.
    Self.set(descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, Self.mostUnsent)
    guard bind(descriptor, first.ai_addr, first.ai_addrlen) == 0,
      listen(descriptor, Int32(clamping: max(1, backlog))) == 0
    else {
      let code = errno
      systemClose(descriptor)
      throw Self.failure(operation, code: code)
    }
    self.descriptor = descriptor
    self.port = SocketAddress.local(descriptor)?.port ?? port
  }

  deinit { systemClose(descriptor) }

  /// Takes one connection off the kernel's queue, if there is one.
  func accept() -> Acceptance {
    while true {
      let (accepted, client) = SocketAddress.filled { clinux_accept(descriptor, $0, $1) }
      if accepted >= 0 { return .accepted(accepted, client) }
      switch -accepted {
      case EAGAIN, EWOULDBLOCK: return .none
      case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .exhausted
      // This connection is dead already (accept(2) lists the errors that Linux passes on); the next may be alive.
      default: continue
      }
    }
  }

  /// Bytes of a connection that the kernel takes although they cannot be sent yet.
  private static let mostUnsent: Int32 = 32_768

  private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  private static func failure(_ operation: String, code: Int32) -> ServerError {
    ServerError(operation: operation, code: code, message: systemMessage(code))
  }
}

/// A descriptor that is held back for the moment when the process has no other. Giving it up makes room to accept one
/// connection and to close it, so that its client need not wait for a timeout.
struct SpareDescriptor: ~Copyable {
  private var descriptor: Int32

  init() {
    descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
  }

  deinit {
    if descriptor >= 0 { systemClose(descriptor) }
  }

  /// - Returns: true when a connection was taken off the listener's queue and closed.
  mutating func shed(_ listener: Listener) -> Bool {
    guard descriptor >= 0 else { return false }
    systemClose(descriptor)
    defer { descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC) }
    guard case .accepted(let accepted, _) = listener.accept() else { return false }
    systemClose(accepted)
    return true
  }
}
