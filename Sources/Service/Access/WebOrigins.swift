import HTTP1

/// Which web pages may use the service: those that it serves itself, and those of the origins that an operator names.
///
/// The second is the CORS protocol of the Fetch Standard (https://fetch.spec.whatwg.org/#http-cors-protocol). By itself it does not stop a page
/// from sending a simple request whose answer it cannot read, so that is refused here as well: a page of anywhere, opened on the
/// operator's machine, could otherwise write to a service that listens on loopback.
public struct WebOrigins: Sendable {
  private let isAny: Bool
  private let origins: [WebOrigin]

  /// None but the service's own.
  public init() { (isAny, origins) = (false, []) }

  /// Origins separated by commas: `https://example.com,http://localhost:3000`, or `*` for all.
  ///
  /// - Returns: nil when one is neither, or there is none.
  public init?(_ list: String) {
    var (isAny, origins) = (false, [WebOrigin]())
    for part in list.split(separator: ",", omittingEmptySubsequences: false).map(MediaType.trimmed) {
      if part == "*" {
        isAny = true
      } else if let origin = WebOrigin(part) {
        origins.append(origin)
      } else {
        return nil
      }
    }
    (self.isAny, self.origins) = (isAny, origins)
  }

  /// Why a request is refused that a page of another origin may have sent; nil when it is not.
  ///
  /// Pages may send GET and HEAD anyway, for instance by a link; these change nothing. Browsers say in `Sec-Fetch-Site` whether page and
  /// service belong together, but not on plain HTTP to other machines; there `Origin` is compared with `Host`.
  func refusal(_ head: RequestHead) -> Problem? {
    switch head.method {
    case .get, .head, .options: return nil
    default: break
    }
    let origin = head.fields["origin"]
    switch head.fields["sec-fetch-site"] {
    case "same-origin", "none": return nil
    case nil: guard let origin, !isOwn(origin, head.fields["host"]) else { return nil }
    default: break
    }
    guard !isAny, origin.map(allows) != true else { return nil }
    guard let origin, let shown = WebOrigin(origin) else {
      return Problem(403, "a web page that is not this service's may not do this; --cors-origin '*' lets every page")
    }
    return Problem(403, "a web page of \(shown) may not do this; --cors-origin \(shown) lets it")
  }

  /// What a browser asks before it sends a page's request: methods and fields that the path takes. Empty for pages that may not use the
  /// service.
  ///
  /// - Parameter allow: the path's methods.
  func preflight(_ head: RequestHead, allow: String) -> [(String, String)] {
    guard let origin = head.fields["origin"], allows(origin), head.fields.contains("access-control-request-method")
    else { return [] }
    let asked = (head.fields["access-control-request-headers"] ?? "").split(separator: ",")
      .map { MediaType.trimmed($0).lowercased() }
    let allowed = Self.requestFields.filter { asked.contains($0.lowercased()) }
    return [("Access-Control-Allow-Methods", allow), ("Access-Control-Max-Age", Self.maxAge)]
      + (allowed.isEmpty ? [] : [("Access-Control-Allow-Headers", allowed.joined(separator: ", "))])
  }

  /// Adds what lets a page read an answer, errors included.
  ///
  /// - Parameter head: nil where the request could not be read.
  func complete(_ fields: inout HTTPFields, for head: RequestHead?) {
    guard isAny || !origins.isEmpty else { return }
    // Whatever comes from a cache was made for one origin.
    if !isAny { fields.append("Vary", "Origin") }
    if isAny {
      fields.append("Access-Control-Allow-Origin", "*")
    } else if let origin = head?.fields["origin"], allows(origin) {
      fields.append("Access-Control-Allow-Origin", origin)
    } else {
      return
    }
    fields.append("Access-Control-Expose-Headers", Self.answerFields)
  }

  private func allows(_ origin: String) -> Bool {
    isAny || WebOrigin(origin).map(origins.contains) ?? false
  }

  private func isOwn(_ origin: String, _ host: String?) -> Bool {
    guard let host, let origin = WebOrigin(origin) else { return false }
    // A proxy in front may speak HTTPS where this service does not, so the scheme is not compared.
    return WebOrigin(scheme: origin.scheme, authority: host) == origin
  }

  /// Fields that a page may send beyond those that every page may.
  private static let requestFields = [
    "Authorization", "Content-Type", "Content-Encoding", "Idempotency-Key", "Traceparent", "X-Api-Key", "X-Request-Id",
    "X-Request-Timeout-Ms",
  ]
  /// Fields that a page may read beyond those that every page may.
  private static let answerFields =
    "Link, Retry-After, Server-Timing, Traceparent, WWW-Authenticate, X-Nearfar-Version, X-Request-Id"
  /// Seconds for which a browser need not ask again: as long as Chromium takes.
  private static let maxAge = "7200"
}

/// Where a page comes from: scheme, host and port (RFC 6454).
struct WebOrigin: Equatable, Sendable, CustomStringConvertible {
  /// In lower case, as the host is.
  let scheme: String
  let host: String
  /// nil for the scheme's own.
  let port: Int?

  /// - Returns: nil for what is not `scheme://host`, or that with a port; `null` is none.
  init?(_ text: String) {
    guard let colon = text.firstIndex(of: ":") else { return nil }
    let rest = text[colon...]
    guard rest.hasPrefix("://") else { return nil }
    self.init(scheme: text[..<colon].lowercased(), authority: String(rest.dropFirst(3)))
  }

  init?(scheme: String, authority: String) {
    let scheme = Array(scheme.utf8)
    guard let first = scheme.first, (0x61...0x7A).contains(first), scheme.allSatisfy(Self.isSchemeCharacter) else {
      return nil
    }
    self.scheme = String(decoding: scheme, as: UTF8.self)
    var host = Array(authority.lowercased().utf8)[...]
    // An IPv6 address has colons of its own, in brackets.
    if let colon = host.lastIndex(of: UInt8(ascii: ":")), !host[colon...].contains(UInt8(ascii: "]")) {
      let digits = host[(colon + 1)...]
      guard (1...5).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
        let port = Int(String(decoding: digits, as: UTF8.self)), (1...65_535).contains(port)
      else { return nil }
      let isDefault = self.scheme == "http" && port == 80 || self.scheme == "https" && port == 443
      self.port = isDefault ? nil : port
      host = host[..<colon]
    } else {
      port = nil
    }
    guard !host.isEmpty, host.allSatisfy(Self.isHostCharacter) else { return nil }
    self.host = String(decoding: host, as: UTF8.self)
  }

  var description: String { "\(scheme)://\(host)\(port.map { ":\($0)" } ?? "")" }

  private static func isSchemeCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x61...0x7A, 0x30...0x39, UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."): true
    default: false
    }
  }

  private static func isHostCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x61...0x7A, 0x30...0x39, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"),
      UInt8(ascii: "["), UInt8(ascii: "]"):
      true
    default: false
    }
  }
}
