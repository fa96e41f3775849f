import HTTP1
import Testing

@Suite("PROXY protocol")
struct ProxyHeaderTests {
  private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]

  /// A header of version 2.
  private static func binary(_ command: UInt8, _ family: UInt8, _ block: [UInt8], length: Int? = nil) -> [UInt8] {
    let length = length ?? block.count
    return signature + [command, family, UInt8(length >> 8), UInt8(length & 255)] + block
  }

  private static let ipv4: [UInt8] = [192, 0, 2, 7, 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb]
  private static let ipv6: [UInt8] =
    [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 15) + [
      1, 0xff, 0xff, 0, 80,
    ]

  /// The outcome for the bytes, which must not depend on how they are split, nor on what follows the header.
  private func parse(_ bytes: [UInt8]) -> ProxyHeader.Progress {
    let whole = ProxyHeader.parse(bytes)
    var first: ProxyHeader.Progress?
    for end in 0...bytes.count {
      let progress = ProxyHeader.parse(Array(bytes[..<end]))
      if progress != .partial, first == nil { first = progress }
      if let first { #expect(progress == first, "the first \(end) bytes") }
      if case .whole(let header) = progress { #expect(header.byteCount <= end) }
    }
    #expect(first ?? .partial == whole)
    if case .whole = whole {
      #expect(ProxyHeader.parse(bytes + Array("GET / HTTP/1.1\r\n\r\n".utf8)) == whole)
      #expect(ProxyHeader.parse(bytes + [0x16, 3, 1, 0, 0x0d, 0x0a]) == whole)
    }
    return whole
  }

  private func source(_ bytes: [UInt8]) throws -> ProxyHeader.Source {
    guard case .whole(let header) = parse(bytes) else {
      Issue.record("not a header: \(bytes)")
      return .nameless
    }
    #expect(header.byteCount == bytes.count)
    return header.source
  }

  private func isBad(_ bytes: [UInt8]) -> Bool {
    if case .bad(let reason) = parse(bytes) { return !reason.isEmpty }
    return false
  }

  private static func address(_ text: String, _ port: Int) throws -> ProxyHeader.Source {
    .address(try #require(IPAddress(text)), port: port)
  }

  @Test(
    "Lines of version 1",
    arguments: [
      ("PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n", "192.0.2.7", 56324),
      ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255", 65535),
      ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0", 0),
      ("PROXY TCP6 2001:db8::1 ::1 4000 80\r\n", "2001:db8::1", 4000),
      ("PROXY TCP6 ::ffff:192.0.2.7 ::1 4000 80\r\n", "192.0.2.7", 4000),
      (
        "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535
      ),
    ])
  func lines(_ line: String, _ address: String, _ port: Int) throws {
    #expect(try source(Array(line.utf8)) == Self.address(address, port))
  }

  @Test(
    "A line of version 1 that knows no client leaves the socket's address",
    arguments: [
      "PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "PROXY UNKNOWN \u{1}what ever\r\n",
    ])
  func unknown(_ line: String) throws {
    #expect(try source(Array(line.utf8)) == .socket)
  }

  @Test(
    "Other lines are refused",
    arguments: [
      "GET / HTTP/1.1\r\n\r\n", "proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY\r\n", "PROXY \r\n", "PROXY  UNKNOWN\r\n",
      "\r\r",
      "PROXY UNKNOWN\n", "PROXY UNKNOWN\r\r\n\n", "PROXY UNKNOWNS\r\n", "PROXY TCP 1.2.3.4 1.2.3.4 1 1\r\n",
      "PROXY TCP4\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n",
      "PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n", "PROXY TCP4 1.2.3.4\t1.2.3.4 1 1\r\n",
      "PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3 1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 1 -1\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 99999999999999999999 1\r\n",
      "PROXY TCP4 ::1 ::1 1 1\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY TCP6 [::1] ::1 1 1\r\n",
      "PROXY TCP6 fe80::1%lo ::1 1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\0\r\n",
    ])
  func badLines(_ line: String) {
    #expect(isBad(Array(line.utf8)))
  }

  @Test("A line has at most 107 bytes")
  func length() throws {
    let start = "PROXY UNKNOWN "
    let longest = start + String(repeating: "x", count: 107 - start.utf8.count - 2) + "\r\n"
    #expect(try source(Array(longest.utf8)) == .socket)
    #expect(isBad(Array((start + String(repeating: "x", count: 108 - start.utf8.count - 2) + "\r\n").utf8)))
    #expect(parse(Array(longest.utf8.dropLast())) == .partial)
  }

  @Test("Headers of version 2")
  func binaries() throws {
    #expect(try source(Self.binary(0x21, 0x11, Self.ipv4)) == Self.address("192.0.2.7", 56324))
    #expect(try source(Self.binary(0x21, 0x21, Self.ipv6)) == Self.address("2001:db8::1", 65535))
    #expect(try source(Self.binary(0x21, 0x31, [UInt8](repeating: 47, count: 216))) == .nameless)
    // What the proxy does not describe, and what is not a stream, is the socket's.
    #expect(try source(Self.binary(0x21, 0x00, [])) == .socket)
    #expect(try source(Self.binary(0x21, 0x00, [4, 0, 2, 0, 0])) == .socket)
    #expect(try source(Self.binary(0x21, 0x12, Self.ipv4)) == .socket)
    // The proxy's own: whatever else it says is skipped.
    #expect(try source(Self.binary(0x20, 0x00, [])) == .socket)
    #expect(try source(Self.binary(0x20, 0x11, Self.ipv4)) == .socket)
    #expect(try source(Self.binary(0x20, 0xff, [1, 2, 3])) == .socket)
    #expect(try source(Self.binary(0x20, 0x00, [UInt8](repeating: 1, count: 2048))) == .socket)
  }

  @Test("Other binary headers are refused")
  func badBinaries() {
    #expect(isBad(Self.binary(0x11, 0x11, Self.ipv4)))
    #expect(isBad(Self.binary(0x31, 0x11, Self.ipv4)))
    #expect(isBad(Self.binary(0x22, 0x11, Self.ipv4)))
    #expect(isBad(Self.binary(0x21, 0x41, Self.ipv4)))
    #expect(isBad(Self.binary(0x21, 0x13, Self.ipv4)))
    #expect(isBad(Self.binary(0x21, 0x11, Array(Self.ipv4.dropLast()))))
    #expect(isBad(Self.binary(0x21, 0x21, Array(Self.ipv6.dropLast()))))
    #expect(isBad(Self.binary(0x21, 0x31, [UInt8](repeating: 0, count: 215))))
    #expect(isBad(Self.binary(0x20, 0x00, [UInt8](repeating: 1, count: 2049))))
    #expect(isBad(Self.binary(0x21, 0x11, [], length: 65_535)))
    var damaged = Self.binary(0x21, 0x11, Self.ipv4)
    for place in 0..<12 {
      damaged[place] ^= 0x20
      #expect(isBad(damaged), "byte \(place)")
      damaged[place] ^= 0x20
    }
    #expect(parse(Self.binary(0x21, 0x11, Array(Self.ipv4.dropLast()), length: 12)) == .partial)
  }

  @Test("Additional values have to be whole")
  func values() throws {
    let address = try Self.address("192.0.2.7", 56324)
    let name: [UInt8] = [0x02, 0, 7] + Array("h.test.".utf8)
    #expect(try source(Self.binary(0x21, 0x11, Self.ipv4 + [0x04, 0, 0])) == address)
    #expect(try source(Self.binary(0x21, 0x11, Self.ipv4 + name + [0x04, 0, 3, 0, 0, 0])) == address)
    #expect(
      try source(Self.binary(0x21, 0x11, Self.ipv4 + [0xe0, 0x07, 0x00] + [UInt8](repeating: 1, count: 1792)))
        == address)
    for cut in 1..<name.count { #expect(isBad(Self.binary(0x21, 0x11, Self.ipv4 + name.dropLast(cut)))) }
  }

  @Test("A checksum has to be right")
  func checksum() throws {
    // Computed by another program: CRC-32C of the header with zeros in its place.
    let right = Self.binary(0x21, 0x11, Self.ipv4 + [0x03, 0, 4] + [0x83, 0xa4, 0xc7, 0xb0])
    #expect(try source(right) == Self.address("192.0.2.7", 56324))
    for place in [13, 16, 27, 31, 34] {
      var wrong = right
      wrong[place] ^= 1
      #expect(isBad(wrong), "byte \(place)")
    }
    #expect(isBad(Self.binary(0x21, 0x11, Self.ipv4 + [0x03, 0, 3, 0, 0, 0])))
  }

  @Test("Nothing that begins with random bytes is taken for a header")
  func random() {
    var state: UInt64 = 7
    for _ in 0..<2000 {
      let bytes = (0..<40).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(state >> 56)
      }
      #expect(parse(bytes) != .partial)
    }
  }
}
