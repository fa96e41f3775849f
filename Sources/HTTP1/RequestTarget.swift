/// The four forms of a request target (RFC 9112, 3.2), reduced to origin-form or `*`.
struct RequestTarget {
  /// Where `range` points into: the head itself, or bytes made up for an absolute-form without a path.
  let bytes: [UInt8]
  let range: Range<Int>
  /// The authority of an absolute-form, as a range of the head's bytes.
  let authority: Range<Int>?

  init(_ head: [UInt8], _ range: Range<Int>, method: HTTPMethod) throws(RequestFailure) {
    let target = head[range]
    guard PercentEncoding.isValid(target) else { throw .bad("the request target has a broken percent-encoding") }
    if method == .connect {
      guard Authority.isValid(target, requiresPort: true) else { throw .bad("CONNECT needs a host and port") }
      (bytes, self.range, authority) = (head, range, nil)
      return
    }
    if target.first == ASCII.slash || (target.count == 1 && target.first == ASCII.asterisk && method == .options) {
      (bytes, self.range, authority) = (head, range, nil)
    } else {
      let authority = try Self.authority(of: target)
      self.authority = authority
      if authority.upperBound < range.upperBound, head[authority.upperBound] == ASCII.slash {
        (bytes, self.range) = (head, authority.upperBound..<range.upperBound)
      } else {
        // No path: "/" stands for it, or for OPTIONS the server as a whole (RFC 9112, 3.2.4).
        let isWhole = method == .options && authority.upperBound == range.upperBound
        bytes = [isWhole ? ASCII.asterisk : ASCII.slash] + head[authority.upperBound..<range.upperBound]
        self.range = 0..<bytes.count
      }
    }
    let path = bytes[self.range].prefix { $0 != ASCII.question }
    guard !path.contains(where: { $0 == ASCII.leftBracket || $0 == ASCII.rightBracket }) else {
      throw .bad("the request target's path has an invalid byte")
    }
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
