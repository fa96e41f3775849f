#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// `nearfar health`: asks a running service's `/readyz`, as a container's health check.
struct HealthProbe {
  let host: String
  let port: String

  private static let timeout = timeval(tv_sec: 5, tv_usec: 0)

  /// - Parameter url: `http://host[:port]`; a path is ignored.
  init(url: String) throws(UsageError) {
    guard url.hasPrefix("http://") else {
      throw UsageError(description: "--url must begin with http://, not '\(url)'")
    }
    let authority = url.dropFirst("http://".count).prefix { $0 != "/" }
    if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
      host = String(authority[authority.index(after: authority.startIndex)..<end])
      port = Self.port(authority[authority.index(after: end)...])
    } else {
      let colon = authority.firstIndex(of: ":") ?? authority.endIndex
      host = String(authority[..<colon])
      port = Self.port(authority[colon...])
    }
    guard !host.isEmpty, UInt16(port) != nil else {
      throw UsageError(description: "--url must be http://host:port, not '\(url)'")
    }
  }

  private static func port(_ text: Substring) -> String {
    text.isEmpty ? "80" : String(text.dropFirst())
  }

  /// The status of `/readyz`, or why there is none.
  func status() -> Result<Int, UsageError> {
    var hints = addrinfo()
    hints.ai_socktype = socketKind
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, port, &hints, &list) == 0, let first = list else {
      return .failure(UsageError(description: "cannot resolve '\(host)'"))
    }
    defer { freeaddrinfo(list) }
    let descriptor = socket(first.pointee.ai_family, first.pointee.ai_socktype, first.pointee.ai_protocol)
    guard descriptor >= 0 else { return .failure(Self.failure("cannot make a socket")) }
    defer { close(descriptor) }
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      var limit = Self.timeout
      setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    guard connect(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 else {
      return .failure(Self.failure("cannot connect to \(host):\(port)"))
    }
    let request = Array("GET /readyz HTTP/1.1\r\nHost: \(host):\(port)\r\nConnection: close\r\n\r\n".utf8)
    guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
      return .failure(Self.failure("cannot send"))
    }
    var answer: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 512)
    // The status line is enough.
    while answer.count < 12 {
      let count = recv(descriptor, &piece, piece.count, 0)
      guard count > 0 else { break }
      answer.append(contentsOf: piece[..<count])
    }
    let fields = String(decoding: answer.prefix(12), as: UTF8.self).split(separator: " ")
    guard fields.count == 2, fields[0].hasPrefix("HTTP/1."), let status = Int(fields[1]) else {
      return .failure(UsageError(description: "\(host):\(port) did not answer in HTTP/1.1"))
    }
    return .success(status)
  }

  private var socketKind: Int32 {
    #if canImport(Glibc)
      Int32(SOCK_STREAM.rawValue)
    #else
      SOCK_STREAM
    #endif
  }

  private static func failure(_ what: String) -> UsageError {
    UsageError(description: "\(what): \(String(cString: strerror(errno)))")
  }
}
