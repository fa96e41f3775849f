import COpenSSL
import Platform

/// A connected stream socket, secured by TLS where the URL says so. Its calls block, for a limited time.
final class ClientSocket {
  private let descriptor: Int32
  // SAFETY: made and freed with the socket, and used by whoever holds it alone.
  private var session: OpaquePointer?

  /// Connects to the first address of the host that accepts, in the order of the resolver.
  ///
  /// - Parameters:
  ///   - trust: what an https:// service has to show.
  ///   - preface: what is sent first, before TLS begins.
  ///   - timeout: the seconds that one system call may wait.
  convenience init(_ url: ServiceURL, _ trust: TLSTrust?, preface: [UInt8], timeout: Int) throws(ClientError) {
    try self.init(url, timeout: timeout)
    if !preface.isEmpty { try send(preface) }
    guard let trust else { return }
    guard let session = trust.session(descriptor, url.host) else {
      throw ClientError(.unreachable, "there is not enough memory for TLS")
    }
    self.session = session
    let result = nf_tls_handshake(session)
    guard result == 1 else {
      throw ClientError(.unreachable, "cannot secure the connection to \(url.authority): \(failure(result))")
    }
  }

  private init(_ url: ServiceURL, timeout: Int) throws(ClientError) {
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

  deinit {
    if let session { nf_tls_session_free(session) }
    close(descriptor)
  }

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
  /// - Throws: ``ClientError`` of the kind `interrupted`, or `late` when nothing can be sent in time.
  func send(_ bytes: [UInt8]) throws(ClientError) {
    var sent = 0
    while sent < bytes.count {
      // SAFETY: the pointer is to the bytes that are not sent yet, and is valid during the call.
      let count = bytes[sent...].withUnsafeBytes { rest in
        session.map { nf_tls_write($0, rest.baseAddress, rest.count) } ?? systemSend(descriptor, rest)
      }
      guard count > 0 || session == nil && errno == EINTR else {
        guard !isLate(count) else { throw ClientError(.late, "the service took nothing in time") }
        throw ClientError(.interrupted, "cannot send: \(failure(count))")
      }
      sent += max(0, count)
    }
  }

  /// Receives at most `most` bytes; none at the end of the stream.
  ///
  /// - Throws: ``ClientError`` of the kind `interrupted`, or `late` when nothing arrives in time.
  func receive(most: Int) throws(ClientError) -> [UInt8] {
    while true {
      var count = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: most) { room, filled in
        // SAFETY: the kernel writes at most `room.count` bytes.
        count =
          session.map { nf_tls_read($0, room.baseAddress, room.count) }
          ?? recv(descriptor, room.baseAddress, room.count, 0)
        filled = max(0, count)
      }
      if count >= 0 { return bytes }
      if session == nil, errno == EINTR { continue }
      guard !isLate(count) else { throw ClientError(.late, "no answer came in time") }
      throw ClientError(.interrupted, "cannot receive: \(failure(count))")
    }
  }

  /// Whether a call has failed because the time was over.
  private func isLate(_ result: Int) -> Bool {
    guard session != nil else { return errno == EAGAIN || errno == EWOULDBLOCK }
    return result == Int(NF_TLS_WANTS_READ) || result == Int(NF_TLS_WANTS_WRITE)
  }

  /// Why a call has failed.
  private func failure(_ result: Int) -> String {
    guard let session else { return systemMessage() }
    guard result == Int(NF_TLS_BROKEN) else { return "the time is over" }
    var reason = nf_tls_reason()
    nf_tls_failure(session, &reason)
    return String(cString: nf_tls_words(&reason))
  }
}
