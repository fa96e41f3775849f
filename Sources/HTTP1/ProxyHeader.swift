/// What a proxy says of its client before the first byte of a connection: the PROXY protocol, versions 1 and 2
/// (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).
public struct ProxyHeader: Sendable, Equatable {
  /// Whose connection it is.
  public enum Source: Sendable, Equatable {
    /// The proxy's own (LOCAL, its health checks), or one that it does not describe (UNKNOWN, AF_UNSPEC): the socket's address counts.
    case socket
    /// A client that has no address of IP, since it came over a unix socket.
    case nameless
    case address(IPAddress, port: Int)
  }

  /// What the bytes are so far.
  public enum Progress: Sendable, Equatable {
    /// All of them belong to a header, and there is more to come.
    case partial
    /// They do not begin with a header.
    case bad(String)
    case whole(ProxyHeader)
  }

  /// A line of version 1, with its end (section 2.1).
  static let longestLine = 107
  /// What version 2 says behind its first 16 bytes: addresses and additional values. The protocol allows 65,535, and proxies send a few
  /// hundred.
  static let longestBlock = 2048
  /// The most bytes of a header.
  public static let longest = 16 + longestBlock

  /// Bytes of the header.
  public let byteCount: Int
  public let source: Source

  /// Parses the first bytes of a connection, all that have come so far; those behind the header are not looked at.
  public static func parse(_ bytes: [UInt8]) -> Progress {
    guard let first = bytes.first else { return .partial }
    return first == signature[0] ? binary(bytes) : text(bytes)
  }
}

// Version 1: one line of text (section 2.1).
extension ProxyHeader {
  private static func text(_ bytes: [UInt8]) -> Progress {
    let start = Array("PROXY ".utf8)
    guard zip(bytes, start).allSatisfy(==) else { return .bad("it is neither version") }
    let line = bytes.prefix(longestLine)
    guard let end = line.firstIndex(where: { $0 == ASCII.lf || $0 == 0 }) else {
      return line.count < longestLine ? .partial : .bad("the line is longer than \(longestLine) bytes")
    }
    guard bytes[end] == ASCII.lf, bytes[end - 1] == ASCII.cr else { return .bad("the line does not end in CRLF") }
    let fields = line[..<(end - 1)].split(separator: ASCII.space, omittingEmptySubsequences: false)
    guard fields.count >= 2 else { return .bad("the line has no protocol") }
    // Whatever else the line says is to be ignored then.
    if fields[1].elementsEqual("UNKNOWN".utf8) { return .whole(ProxyHeader(byteCount: end + 1, source: .socket)) }
    let parse: (ArraySlice<UInt8>) -> IPAddress?
    if fields[1].elementsEqual("TCP4".utf8) {
      parse = { IPAddress.ipv4($0).map(IPAddress.init(ipv4:)) }
    } else if fields[1].elementsEqual("TCP6".utf8) {
      parse = IPAddress.ipv6
    } else {
      return .bad("the protocol is none of TCP4, TCP6 and UNKNOWN")
    }
    guard fields.count == 6, let source = parse(fields[2]), parse(fields[3]) != nil,
      let port = IPAddress.decimal(fields[4], atMost: 65_535), IPAddress.decimal(fields[5], atMost: 65_535) != nil
    else { return .bad("the line does not have two addresses and two ports") }
    return .whole(ProxyHeader(byteCount: end + 1, source: .address(source, port: port)))
  }
}

// Version 2: binary (section 2.2).
extension ProxyHeader {
  private static let signature: [UInt8] = [
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
  ]

  private static func binary(_ bytes: [UInt8]) -> Progress {
    guard zip(bytes, signature).allSatisfy(==) else { return .bad("it is neither version") }
    guard bytes.count >= 16 else { return .partial }
    guard bytes[12] >> 4 == 2 else { return .bad("the version is not 2") }
    let length = Int(bytes[14]) << 8 | Int(bytes[15])
    guard length <= longestBlock else { return .bad("it is longer than \(longest) bytes") }
    guard bytes.count >= 16 + length else { return .partial }
    let block = bytes[16..<(16 + length)]
    switch bytes[12] & 15 {
    // The proxy's own connection: the rest is to be skipped, whatever it says.
    case 0: return .whole(ProxyHeader(byteCount: 16 + length, source: .socket))
    case 1: break
    default: return .bad("the command is neither LOCAL nor PROXY")
    }
    let (family, transport) = (bytes[13] >> 4, bytes[13] & 15)
    guard family <= 3, transport <= 2 else { return .bad("the address family is not known") }
    let size = [0, 12, 36, 216][Int(family)]
    guard length >= size else { return .bad("the addresses are cut off") }
    guard let isIntact = checkValues(block.dropFirst(size), in: bytes[..<(16 + length)]) else {
      return .bad("an additional value is cut off")
    }
    guard isIntact else { return .bad("the checksum is wrong") }
    let start = block.startIndex
    let source: Source
    switch (family, transport) {
    case (1, 1), (2, 1):
      let width = family == 1 ? 4 : 16
      let port = block[(start + 2 * width)...].prefix(2).reduce(0) { $0 << 8 | Int($1) }
      source = .address(IPAddress(networkOrder: block.prefix(width)), port: port)
    case (3, 1): source = .nameless
    // What is not a stream cannot be this connection.
    default: source = .socket
    }
    return .whole(ProxyHeader(byteCount: 16 + length, source: source))
  }

  /// Checks the additional values: their lengths, and the checksum where there is one (section 2.2.3).
  ///
  /// - Returns: nil when a length is wrong, and false when the checksum is.
  private static func checkValues(_ values: ArraySlice<UInt8>, in header: ArraySlice<UInt8>) -> Bool? {
    var rest = values
    var isIntact = true
    while !rest.isEmpty {
      guard rest.count >= 3 else { return nil }
      let start = rest.startIndex
      let length = Int(rest[start + 1]) << 8 | Int(rest[start + 2])
      guard rest.count >= 3 + length else { return nil }
      if rest[start] == 0x03 {
        guard length == 4 else { return nil }
        let place = (start + 3)..<(start + 7)
        let stated = rest[place].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        // The checksum is of the header with zeros in its own place. A second one could not be right, too.
        isIntact = isIntact && CRC32C.of(header, zeroing: place) == stated
      }
      rest = rest.dropFirst(3 + length)
    }
    return isIntact
  }
}

/// The checksum of RFC 3720, appendix B.4.
enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82f6_3b78 : value >> 1 }
  }

  /// - Parameter place: indices of bytes that count as 0.
  static func of(_ bytes: ArraySlice<UInt8>, zeroing place: Range<Int> = 0..<0) -> UInt32 {
    var value = UInt32.max
    for index in bytes.indices {
      let byte = place.contains(index) ? 0 : bytes[index]
      value = value >> 8 ^ table[Int((value ^ UInt32(byte)) & 255)]
    }
    return ~value
  }
}
