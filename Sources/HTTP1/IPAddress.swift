/// An IPv4 or IPv6 address.
///
/// An IPv4 address and the IPv6 address that it is mapped to (`::ffff:192.0.2.1`; RFC 4291, 2.5.5.2) are the same: which of the two a
/// client has depends on the socket that it came to.
public struct IPAddress: Sendable, Hashable {
  /// The 128 bits as an IPv6 address has them.
  let high: UInt64
  let low: UInt64

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  init(ipv4 bits: UInt32) { self.init(high: 0, low: 0xffff_0000_0000 | UInt64(bits)) }

  /// An address in its usual form: four numbers without leading zeros, or RFC 4291, 2.2 without a zone and without brackets.
  ///
  /// - Returns: nil for any other text.
  public init?(_ text: some StringProtocol) { self.init(Array(text.utf8)[...]) }

  init?(_ bytes: ArraySlice<UInt8>) {
    guard let address = Self.ipv4(bytes).map(IPAddress.init(ipv4:)) ?? Self.ipv6(bytes) else { return nil }
    self = address
  }

  /// Bytes in network order: 4 of an IPv4 address, or 16 of an IPv6 address.
  package init(networkOrder bytes: ArraySlice<UInt8>) {
    precondition(bytes.count == 4 || bytes.count == 16, "an address has 4 or 16 bytes")
    let number = { (part: ArraySlice<UInt8>) in part.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
    if bytes.count == 4 {
      self.init(ipv4: UInt32(truncatingIfNeeded: number(bytes)))
    } else {
      self.init(high: number(bytes.prefix(8)), low: number(bytes.suffix(8)))
    }
  }

  public var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }

  /// What limits for each client count the address under: itself, or for IPv6 the network of 64 bits that it is in, since that is what a
  /// customer of a provider is given at least (RFC 6177).
  public var subscriber: IPAddress { isIPv4 ? self : IPAddress(high: high, low: 0) }

  /// - Returns: nil unless the bytes are four numbers from 0 to 255 with dots between them.
  static func ipv4(_ bytes: ArraySlice<UInt8>) -> UInt32? {
    let parts = bytes.split(separator: ASCII.dot, maxSplits: 4, omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var bits: UInt32 = 0
    for part in parts {
      guard let number = decimal(part, atMost: 255) else { return nil }
      bits = bits << 8 | UInt32(truncatingIfNeeded: number)
    }
    return bits
  }

  /// - Returns: nil for a number that is empty, has leading zeros or other characters, or is above `limit`, which has at most five digits.
  static func decimal(_ bytes: ArraySlice<UInt8>, atMost limit: Int) -> Int? {
    guard (1...5).contains(bytes.count), bytes.allSatisfy(ASCII.isDigit), bytes.count == 1 || bytes.first != ASCII.zero
    else { return nil }
    let number = bytes.reduce(0) { $0 * 10 + Int($1 &- ASCII.zero) }
    return number <= limit ? number : nil
  }

  /// The address of groups with colons between them, the last two of which may be written as an IPv4 address.
  static func ipv6(_ bytes: ArraySlice<UInt8>) -> IPAddress? {
    var groups: [UInt16] = []
    /// Where `::` stands for groups of zeros.
    var gap: Int?
    var rest = bytes
    if rest.starts(with: [ASCII.colon, ASCII.colon]) {
      gap = 0
      rest = rest.dropFirst(2)
    }
    while !rest.isEmpty, groups.count < 8 {
      let group = rest.prefix { $0 != ASCII.colon }
      rest = rest[group.endIndex...]
      if group.contains(ASCII.dot) {
        guard rest.isEmpty, let bits = ipv4(group) else { return nil }
        groups += [UInt16(bits >> 16), UInt16(truncatingIfNeeded: bits)]
        break
      }
      guard (1...4).contains(group.count), group.allSatisfy({ ASCII.hexValue($0) != nil }) else { return nil }
      groups.append(group.reduce(0) { $0 << 4 | UInt16(ASCII.hexValue($1) ?? 0) })
      guard !rest.isEmpty else { break }
      rest = rest.dropFirst()
      if rest.first == ASCII.colon {
        guard gap == nil else { return nil }
        gap = groups.count
        rest = rest.dropFirst()
      } else if rest.isEmpty {
        return nil
      }
    }
    guard rest.isEmpty || groups.count < 8 else { return nil }
    if let gap {
      guard groups.count < 8 else { return nil }
      groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
    }
    guard groups.count == 8 else { return nil }
    let bits = { (part: ArraySlice<UInt16>) in part.reduce(UInt64(0)) { $0 << 16 | UInt64($1) } }
    return IPAddress(high: bits(groups[..<4]), low: bits(groups[4...]))
  }
}

extension IPAddress: CustomStringConvertible {
  /// `192.0.2.1`, or RFC 5952's form of an IPv6 address.
  public var description: String {
    if isIPv4 {
      var text = String(low >> 24 & 255)
      for shift in [16, 8, 0] as [UInt64] {
        text += "."
        text += String(low >> shift & 255)
      }
      return text
    }
    let groups = (0..<8).map { (index: UInt64) in (index < 4 ? high : low) >> (48 - 16 * (index & 3)) & 0xffff }
    // The longest run of at least two zeros is left out, the first of several that are equally long.
    var gap = 0..<0
    var start = 0
    for (index, group) in groups.enumerated() {
      if group != 0 { start = index + 1 }
      if index + 1 - start > max(1, gap.count) { gap = start..<(index + 1) }
    }
    let text = { (part: ArraySlice<UInt64>) in part.map { String($0, radix: 16) }.joined(separator: ":") }
    guard !gap.isEmpty else { return text(groups[...]) }
    return text(groups[..<gap.lowerBound]) + "::" + text(groups[gap.upperBound...])
  }
}

/// The addresses that begin with the same bits (RFC 4632, 3.1; RFC 4291, 2.3).
public struct IPNetwork: Sendable, Hashable {
  private let first: IPAddress
  /// The bits that all addresses have in common, of 128.
  private let bits: Int

  /// `10.0.0.0/8`, `2001:db8::/32`, or one address.
  ///
  /// - Returns: nil for any other text, and for an address with bits set behind the prefix: who writes 10.1.2.3/8 may not know how much
  ///   that is.
  public init?(_ text: some StringProtocol) {
    let parts = Array(text.utf8).split(separator: ASCII.slash, maxSplits: 1, omittingEmptySubsequences: false)
    guard let head = parts.first, let address = IPAddress(head) else { return nil }
    // An IPv6 address may be written for an IPv4 one; its prefix counts the bits as they are written.
    let offset = address.isIPv4 && !head.contains(ASCII.colon) ? 96 : 0
    var bits = 128
    if parts.count == 2 {
      guard let length = IPAddress.decimal(parts[1], atMost: 128 - offset) else { return nil }
      bits = offset + length
    }
    guard IPNetwork.masked(address, bits) == address, bits >= 96 || !address.isIPv4 else { return nil }
    (first, self.bits) = (address, bits)
  }

  public func contains(_ address: IPAddress) -> Bool {
    address.isIPv4 == first.isIPv4 && Self.masked(address, bits) == first
  }

  private static func masked(_ address: IPAddress, _ bits: Int) -> IPAddress {
    // Shifts by 64 and more give 0.
    IPAddress(
      high: bits >= 64 ? address.high : address.high & ~(UInt64.max >> UInt64(bits)),
      low: bits <= 64 ? 0 : address.low & ~(UInt64.max >> UInt64(bits - 64)))
  }
}
