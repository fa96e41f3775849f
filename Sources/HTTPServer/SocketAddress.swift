import HTTP1
import Platform

/// A numeric address and a port. An IPv4 address that came over an IPv6 socket is an IPv4 address.
struct SocketAddress {
  enum Host {
    case address(IPAddress)
    /// An address that needs a zone, `fe80::1%eth0`.
    case zoned(String)
  }

  let host: Host
  let port: Int

  /// The address that the socket is bound to; nil when the system does not say.
  static func local(_ descriptor: Int32) -> SocketAddress? { filled { getsockname(descriptor, $0, $1) }.address }

  /// Calls a function of the system that fills an address.
  ///
  /// - Parameter fill: returns a negative number when it has failed.
  /// - Returns: what `fill` returns, and the address; nil when it has failed, or the address is of another family than IPv4 and IPv6.
  static func filled(
    _ fill: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> (result: Int32, address: SocketAddress?) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    // SAFETY: sockaddr_storage is made to be read as the family's own address type, and `length` bounds what is written.
    return withUnsafeMutablePointer(to: &storage) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        let result = fill(address, &length)
        let isFilled = result >= 0 && length <= MemoryLayout<sockaddr_storage>.size
        return (
          result,
          isFilled ? SocketAddress(UnsafeRawPointer(address), Int32(address.pointee.sa_family), length) : nil
        )
      }
    }
  }

  /// The C library is asked only where a zone has to be named: it takes longer than all else that is done for a connection
  /// with one request.
  private init?(_ raw: UnsafeRawPointer, _ family: Int32, _ length: socklen_t) {
    switch family {
    case AF_INET:
      // SAFETY: the storage holds an address of this family.
      let address = raw.load(as: sockaddr_in.self)
      host = .address(IPAddress(networkOrder: withUnsafeBytes(of: address.sin_addr) { Array($0)[...] }))
      port = Int(UInt16(bigEndian: address.sin_port))
    case AF_INET6:
      // SAFETY: the storage holds an address of this family.
      let address = raw.load(as: sockaddr_in6.self)
      port = Int(UInt16(bigEndian: address.sin6_port))
      if address.sin6_scope_id == 0 {
        host = .address(IPAddress(networkOrder: withUnsafeBytes(of: address.sin6_addr) { Array($0)[...] }))
      } else {
        guard let name = Self.name(raw, length) else { return nil }
        host = .zoned(name)
      }
    default: return nil
    }
  }

  private static func name(_ raw: UnsafeRawPointer, _ length: socklen_t) -> String? {
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    // SAFETY: the storage holds an address of `length` bytes, and the count bounds what is written.
    let status = getnameinfo(
      raw.assumingMemoryBound(to: sockaddr.self), length, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
    guard status == 0 else { return nil }
    return String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
