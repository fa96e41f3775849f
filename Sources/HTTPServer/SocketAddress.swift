import Platform

/// A numeric address and a port.
struct SocketAddress: Equatable {
  /// `127.0.0.1`, `2001:db8::1`. An IPv4 address that came over an IPv6 socket is written as IPv4.
  let host: String
  let port: Int

  /// The address that the socket is bound to; nil when the system does not say.
  static func local(_ descriptor: Int32) -> SocketAddress? { read { getsockname(descriptor, $0, $1) } }

  /// The address at the other end of a connection; nil when the system does not say, because the connection is dead.
  static func peer(_ descriptor: Int32) -> SocketAddress? { read { getpeername(descriptor, $0, $1) } }

  private static func read(
    _ fill: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var port = [CChar](repeating: 0, count: Int(NI_MAXSERV))
    // SAFETY: sockaddr_storage is made to be read as the family's own address type; `length` and the counts bound what is
    // written.
    let isFilled = withUnsafeMutablePointer(to: &storage) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        fill(address, &length) == 0
          && getnameinfo(
            address, length, &host, socklen_t(host.count), &port, socklen_t(port.count), NI_NUMERICHOST | NI_NUMERICSERV
          )
            == 0
      }
    }
    guard isFilled, let number = Int(text(port)) else { return nil }
    let name = text(host)
    let mapped = "::ffff:"
    return SocketAddress(
      host: name.hasPrefix(mapped) && name.contains(".") ? String(name.dropFirst(mapped.count)) : name, port: number)
  }

  private static func text(_ bytes: [CChar]) -> String {
    String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
