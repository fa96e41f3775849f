/// Request line and fields of one request, framing already checked.
public struct RequestHead: Sendable {
  public var method: HTTPMethod
  public var fields: HTTPFields
  /// True for HTTP/1.0. Every other HTTP/1.x is treated as HTTP/1.1 (RFC 9110, 2.5).
  public var isHTTP10: Bool

  // The target's bytes; where the head came from a parser this is the same storage as that of `fields`.
  private let bytes: [UInt8]
  private let targetStart: Int
  private let targetEnd: Int
  private let pathEnd: Int

  /// A head made by hand. `target` is origin-form (`/path?query`) or `*`.
  public init(method: HTTPMethod, target: String, fields: HTTPFields = HTTPFields(), isHTTP10: Bool = false) {
    let bytes = Array(target.utf8)
    self.init(method: method, bytes: bytes, target: 0..<bytes.count, fields: fields, isHTTP10: isHTTP10)
  }

  init(method: HTTPMethod, bytes: [UInt8], target: Range<Int>, fields: HTTPFields, isHTTP10: Bool) {
    self.method = method
    self.bytes = bytes
    self.fields = fields
    self.isHTTP10 = isHTTP10
    targetStart = target.lowerBound
    targetEnd = target.upperBound
    pathEnd = bytes[target].firstIndex(of: ASCII.question) ?? target.upperBound
  }

  /// The target as sent: origin-form (also after absolute-form is reduced to it), or `*`.
  public var target: String { String(decoding: bytes[targetStart..<targetEnd], as: UTF8.self) }

  /// The path, still percent-encoded, without the query.
  public var path: String { String(decoding: bytes[targetStart..<pathEnd], as: UTF8.self) }

  /// What follows the first `?`, still percent-encoded; nil without one.
  public var query: String? {
    pathEnd < targetEnd ? String(decoding: bytes[(pathEnd + 1)..<targetEnd], as: UTF8.self) : nil
  }

  /// The path split on `/`, each segment percent-decoded: `/a/b%2Fc` is `["a", "b/c"]`, `/` is `[]`, `/a/` is `["a", ""]`.
  public var pathSegments: [String] {
    guard pathEnd - targetStart > 1 else { return [] }
    return bytes[(targetStart + 1)..<pathEnd]
      .split(separator: ASCII.slash, omittingEmptySubsequences: false)
      .map { PercentEncoding.decode($0, plusIsSpace: false) }
  }

  /// The query split on `&` and `=`, both sides decoded as HTML forms encode them (`+` is a space).
  public var queryItems: [(name: String, value: String)] {
    guard pathEnd < targetEnd else { return [] }
    return bytes[(pathEnd + 1)..<targetEnd].split(separator: 0x26).map { item in
      let sides = item.split(separator: ASCII.equals, maxSplits: 1, omittingEmptySubsequences: false)
      return (
        PercentEncoding.decode(sides[0], plusIsSpace: true),
        sides.count > 1 ? PercentEncoding.decode(sides[1], plusIsSpace: true) : ""
      )
    }
  }
}
