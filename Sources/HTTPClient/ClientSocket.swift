import Platform

/// A connected stream socket. Its calls block, for a limited time.
final class ClientSocket {
  private let descriptor: Int32

  /// Connects to the first address of the host that accepts, in the order of the resolver.
  ///
  /// - Parameter timeout: the most seconds that one system call waits, at least 1.
  /// - Throws: ``ClientError`` of the kind `unreachable`, for the last address that was tried.
  init(_ url: ServiceURL, timeout: Int) throws(ClientError) {
    var hints = addrinfo()
    hints.ai_socktype = streamSocket
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(url.host, String(url.port), &hints, &list) == 0 else {
      throw ClientError(.unreachable, "cannot resolve '\(url.host)'")
    }
    defer { freeaddrinfo(list) }
    var failure = ClientError(.unreachable, "'\(url.host)' has no address")
    var next = list
    while let address = next?.pointee {
      next = address.ai_next
      let made = socket(address.ai_family, address.ai_socktype, address.ai_protocol)
      guard made >= 0 else {
        failure = ClientError(.unreachable, "cannot make a socket: \(systemMessage())")
        continue
      }
      Self.prepare(made, timeout)
      if connect(made, address.ai_addr, address.ai_addrlen) == 0 {
        descriptor = made
        return
      }
      failure = ClientError(.unreachable, "cannot connect to \(url.authority): \(systemMessage())")
      close(made)
    }
    throw failure
  }

  deinit { close(descriptor) }

  private static func prepare(_ descriptor: Int32, _ timeout: Int) {
    var limit = timeval(tv_sec: max(1, timeout), tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
  }

  /// Sends all of `bytes`.
  ///
  /// - Throws: ``ClientError`` of the kind `interrupted`.
  func send(_ bytes: [UInt8]) throws(ClientError) {
    var sent = 0
    while sent < bytes.count {
      // SAFETY: the pointer is to the bytes that have not been sent yet, and is valid during the call.
      let count = bytes[sent...].withUnsafeBytes { systemSend(descriptor, $0) }
      guard count > 0 || errno == EINTR else { throw ClientError(.interrupted, "cannot send: \(systemMessage())") }
      sent += max(0, count)
    }
  }

  /// Receives at most `most` bytes; none at the end of the stream.
  ///
  /// - Throws: ``ClientError`` of the kind `interrupted`, also when nothing arrives in time.
  func receive(most: Int) throws(ClientError) -> [UInt8] {
    while true {
      var count = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: most) { room, filled in
        // SAFETY: the kernel writes at most `room.count` bytes.
        count = recv(descriptor, room.baseAddress, room.count, 0)
        filled = max(0, count)
      }
      if count >= 0 { return bytes }
      if errno == EINTR { continue }
      let isLate = errno == EAGAIN || errno == EWOULDBLOCK
      throw ClientError(.interrupted, isLate ? "no answer came in time" : "cannot receive: \(systemMessage())")
    }
  }
}
