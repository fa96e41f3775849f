/// The address of a service: `http://host[:port][/prefix]`, or the same with `https`.
public struct ServiceURL: Sendable, Equatable, CustomStringConvertible {
  /// Whether the connection is secured by TLS.
  public let isSecure: Bool
  /// A name or an address; an IPv6 address stands without its brackets.
  public let host: String
  public let port: UInt16
  /// The prefix of every path. It is empty, or begins with a slash and does not end with one.
  public let prefix: String

  /// - Throws: ``ClientError`` of the kind `url`.
  public init(_ text: String) throws(ClientError) {
    isSecure = text.hasPrefix("https://")
    let scheme = isSecure ? "https://" : "http://"
    guard text.hasPrefix(scheme) else {
      throw ClientError(.url, "must begin with http:// or https://, not '\(text)'")
    }
    let bad = ClientError(.url, "must be \(scheme)host:port, not '\(text)'")
    // A control character or a space in the URL would end the request line early.
    guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), !text.contains(where: { "?#@".contains($0) }) else {
      throw bad
    }
    let rest = text.dropFirst(scheme.count)
    let authority = rest.prefix { $0 != "/" }
    var path = rest.dropFirst(authority.count)
    while path.hasSuffix("/") { path.removeLast() }
    prefix = String(path)
    let after: Substring
    if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
      host = String(authority[..<end].dropFirst())
      after = authority[end...].dropFirst()
    } else {
      host = String(authority.prefix { $0 != ":" })
      after = authority.dropFirst(host.count)
    }
    guard !host.isEmpty else { throw bad }
    guard after.isEmpty || after.hasPrefix(":") else { throw bad }
    let digits = after.dropFirst()
    guard after.isEmpty || digits.allSatisfy(\.isWholeNumber),
      let port = UInt16(after.isEmpty ? (isSecure ? "443" : "80") : digits)
    else {
      throw bad
    }
    self.port = port
  }

  /// The value of the Host field (RFC 9110, section 7.2).
  public var authority: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }

  /// The same service without the path.
  public var root: ServiceURL { ServiceURL(isSecure: isSecure, host: host, port: port) }

  private init(isSecure: Bool, host: String, port: UInt16) {
    (self.isSecure, self.host, self.port, prefix) = (isSecure, host, port, "")
  }

  public var description: String { "\(isSecure ? "https" : "http")://\(authority)\(prefix)" }
}

extension String {
  /// The text as one segment of a path (RFC 3986, section 3.3). All characters except the unreserved ones are
  /// percent-encoded, and so are the dots of the segments `.` and `..`.
  public var pathSegment: String {
    var out = ""
    for byte in utf8 {
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "~"):
        out.unicodeScalars.append(Unicode.Scalar(byte))
      case UInt8(ascii: ".") where self != "." && self != "..":
        out += "."
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        out += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
      }
    }
    return out
  }
}
