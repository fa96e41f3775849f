/// A request target of any of the four forms (RFC 9112, 3.2), reduced to origin-form or `*`.
///
/// Clients, browsers among them, send characters that a URI has no place for: `|`, `"`, `^`, `{`, `}`, `` ` ``, `<`, `>`,
/// `\`, brackets in a path, and UTF-8 as it is. They mean the percent-encoded form of these, so that is what the target
/// holds afterwards: a raw and an escaped request are the same request to everything behind the parser. A backslash is
/// a character of its segment and never a separator.
struct RequestTarget {
  /// Where `range` points into: the head itself, or bytes of the target's own where it had to be rewritten.
  let bytes: [UInt8]
  let range: Range<Int>
  /// The authority of an absolute-form, as a range of the head's bytes.
  let authority: Range<Int>?

  /// - Parameter head: a request head whose `range` holds bytes of `ByteSet.target` and bytes from 0x80 only.
  init(_ head: [UInt8], _ range: Range<Int>, method: HTTPMethod) throws(RequestFailure) {
    let target = head[range]
    guard PercentEncoding.isValid(target) else { throw .bad("the request target has a broken percent-encoding") }
    if method == .connect {
      guard Authority.isValid(target, requiresPort: true) else { throw .bad("CONNECT needs a host and port") }
      (bytes, self.range, authority) = (head, range, nil)
      return
    }
    let isAsterisk = target.count == 1 && target.first == ASCII.asterisk && method == .options
    authority = target.first == ASCII.slash || isAsterisk ? nil : try Self.authority(of: target)
    let rest = head[(authority?.upperBound ?? range.lowerBound)..<range.upperBound]
    let pathEnd = rest.firstIndex(of: ASCII.question) ?? rest.endIndex
    let lacksPath = authority != nil && pathEnd == rest.startIndex
    if !lacksPath, rest[..<pathEnd].allSatisfy(ByteSet.path.contains),
      rest[pathEnd...].allSatisfy(ByteSet.query.contains)
    {
      (bytes, self.range) = (head, rest.startIndex..<rest.endIndex)
      return
    }
    guard String(validating: rest, as: UTF8.self) != nil else { throw .bad("the request target is not UTF-8") }
    var rewritten: [UInt8] = []
    // An absolute-form without a path means "/", or for OPTIONS the server as a whole (RFC 9112, 3.2.4).
    if lacksPath { rewritten.append(method == .options && rest.isEmpty ? ASCII.asterisk : ASCII.slash) }
    PercentEncoding.encode(rest[..<pathEnd], except: .path, to: &rewritten)
    PercentEncoding.encode(rest[pathEnd...], except: .query, to: &rewritten)
    (bytes, self.range) = (rewritten, 0..<rewritten.count)
  }

  /// Where the authority of an absolute-form stands.
  private static func authority(of target: ArraySlice<UInt8>) throws(RequestFailure) -> Range<Int> {
    let rest: ArraySlice<UInt8>
    if target.prefix(7).equals("http://") {
      rest = target.dropFirst(7)
    } else if target.prefix(8).equals("https://") {
      rest = target.dropFirst(8)
    } else {
      throw .bad("the request target has none of the forms of RFC 9112")
    }
    let authority = rest.prefix { $0 != ASCII.slash && $0 != ASCII.question }
    // User information has no place here either (RFC 9110, 4.2.4): "@" is in no host name.
    guard Authority.isValid(authority, requiresPort: false) else {
      throw .bad("the request target's authority is not a host and port")
    }
    return authority.startIndex..<authority.endIndex
  }
}

/// `uri-host [ ":" port ]` (RFC 9110, 7.2; RFC 3986, 3.2.2).
enum Authority {
  /// False for an empty host, for user information, for a list of hosts and for a port out of range.
  static func isValid(_ bytes: ArraySlice<UInt8>, requiresPort: Bool) -> Bool {
    let hostEnd: Int
    if bytes.first == ASCII.leftBracket {
      guard let bracket = bytes.firstIndex(of: ASCII.rightBracket) else { return false }
      // IPvFuture has never been used and is refused.
      guard IPAddress.ipv6(bytes[(bytes.startIndex + 1)..<bracket]) != nil else { return false }
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
}

/// Percent-encoding (RFC 3986, 2.1).
enum PercentEncoding {
  /// True when every `%` is followed by two HEXDIG.
  static func isValid(_ bytes: ArraySlice<UInt8>) -> Bool {
    var at = bytes.startIndex
    while at < bytes.endIndex {
      if bytes[at] == ASCII.percent {
        guard bytes.endIndex - at > 2, ASCII.hexValue(bytes[at + 1]) != nil, ASCII.hexValue(bytes[at + 2]) != nil else {
          return false
        }
        at += 3
      } else {
        at += 1
      }
    }
    return true
  }

  /// The decoded text. A `%` without two HEXDIG stays as it is; bytes that are not UTF-8 become U+FFFD.
  static func decode(_ bytes: ArraySlice<UInt8>, plusIsSpace: Bool) -> String {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(bytes.count)
    var at = bytes.startIndex
    while at < bytes.endIndex {
      let byte = bytes[at]
      if byte == ASCII.percent, bytes.endIndex - at > 2,
        let high = ASCII.hexValue(bytes[at + 1]), let low = ASCII.hexValue(bytes[at + 2])
      {
        decoded.append(high << 4 | low)
        at += 3
      } else {
        decoded.append(plusIsSpace && byte == 0x2b ? ASCII.space : byte)
        at += 1
      }
    }
    return String(decoding: decoded, as: UTF8.self)
  }

  /// Appends the bytes, percent-encoding those that are not in `allowed`.
  static func encode(_ bytes: ArraySlice<UInt8>, except allowed: ByteSet, to encoded: inout [UInt8]) {
    for byte in bytes {
      if allowed.contains(byte) {
        encoded.append(byte)
      } else {
        encoded += [ASCII.percent, ASCII.hexDigit(byte &>> 4), ASCII.hexDigit(byte & 15)]
      }
    }
  }
}
