/// `uri-host [ ":" port ]` (RFC 9110, 7.2; RFC 3986, 3.2.2).
enum Authority {
  /// False for an empty host, user information, a list, a port out of range.
  static func isValid(_ bytes: ArraySlice<UInt8>, requiresPort: Bool) -> Bool {
    let hostEnd: Int
    if bytes.first == ASCII.leftBracket {
      guard let bracket = bytes.firstIndex(of: ASCII.rightBracket) else { return false }
      guard isIPLiteral(bytes[(bytes.startIndex + 1)..<bracket]) else { return false }
      hostEnd = bracket + 1
    } else {
      hostEnd = bytes.firstIndex(of: ASCII.colon) ?? bytes.endIndex
      let host = bytes[..<hostEnd]
      guard !host.isEmpty, host.allSatisfy(ByteSet.registeredName.contains), PercentEncoding.isValid(host) else {
        return false
      }
    }
    guard hostEnd < bytes.endIndex else { return !requiresPort }
    guard bytes[hostEnd] == ASCII.colon else { return false }
    return isPort(bytes[(hostEnd + 1)...], mayBeEmpty: !requiresPort)
  }

  /// *DIGIT, at most 65,535.
  private static func isPort(_ bytes: ArraySlice<UInt8>, mayBeEmpty: Bool) -> Bool {
    guard !bytes.isEmpty else { return mayBeEmpty }
    var port = 0
    for byte in bytes {
      guard ASCII.isDigit(byte) else { return false }
      port = port * 10 + Int(byte &- ASCII.zero)
      guard port <= 65_535 else { return false }
    }
    return true
  }

  /// An IPv6 address, perhaps with an IPv4 tail. IPvFuture has never been used and is refused.
  private static func isIPLiteral(_ bytes: ArraySlice<UInt8>) -> Bool {
    var groups = 0
    var hasGap = false
    var rest = bytes
    if rest.starts(with: [ASCII.colon, ASCII.colon]) {
      hasGap = true
      rest = rest.dropFirst(2)
    }
    while !rest.isEmpty {
      let group = rest.prefix { $0 != ASCII.colon }
      rest = rest[group.endIndex...]
      if group.contains(0x2e) {
        guard rest.isEmpty, isIPv4(group) else { return false }
        groups += 2
        break
      }
      guard (1...4).contains(group.count), group.allSatisfy({ ASCII.hexValue($0) != nil }) else { return false }
      groups += 1
      guard !rest.isEmpty else { break }
      rest = rest.dropFirst()
      if rest.first == ASCII.colon {
        guard !hasGap else { return false }
        hasGap = true
        rest = rest.dropFirst()
      } else if rest.isEmpty {
        return false
      }
    }
    return hasGap ? groups < 8 : groups == 8
  }

  private static func isIPv4(_ bytes: ArraySlice<UInt8>) -> Bool {
    let parts = bytes.split(separator: 0x2e, omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { part in
        (1...3).contains(part.count) && part.allSatisfy(ASCII.isDigit)
          && part.reduce(0) { $0 * 10 + Int($1 &- ASCII.zero) } < 256
      }
  }
}
