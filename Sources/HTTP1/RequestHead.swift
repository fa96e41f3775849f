/// Request line and fields of one request. Its framing has been checked.
public struct RequestHead: Sendable {
  public var method: HTTPMethod
  public var fields: HTTPFields
  /// True for HTTP/1.0. Every later minor version is treated as HTTP/1.1 (RFC 9110, 2.5).
  public var isHTTP10: Bool

  // Holds the target. In a parsed head this is mostly the storage that `fields` uses as well.
  private let bytes: [UInt8]
  private let targetStart: Int
  private let targetEnd: Int
  private let pathEnd: Int

  /// A head that comes from no parser. `target` is origin-form (`/path?query`) or `*`.
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

  /// The storage of the fields, for another head.
  consuming func storage() -> (bytes: [UInt8], lines: [HTTPFields.Line]) { (fields.bytes, fields.lines) }

  /// The target in origin-form, `/path?query`, or `*`. An absolute-form has been reduced to one of these, and characters
  /// that a URI has no place for have been percent-encoded.
  public var target: String { String(decoding: bytes[targetStart..<targetEnd], as: UTF8.self) }

  /// True when the request is about the server as a whole: the target is `*`, as in `OPTIONS *` (RFC 9110, 9.3.7).
  public var isForWholeServer: Bool { targetEnd - targetStart == 1 && bytes[targetStart] == ASCII.asterisk }

  /// The path, still percent-encoded, without the query. `*` where the request is about the server as a whole.
  public var path: String { String(decoding: bytes[targetStart..<pathEnd], as: UTF8.self) }

  /// Whether the path is this one, found without making a `String` of it.
  public func isPath(_ path: [UInt8]) -> Bool {
    path.count == pathEnd &- targetStart && bytes[targetStart..<pathEnd].elementsEqual(path)
  }

  /// What follows the first `?`, still percent-encoded; nil where there is no `?`.
  public var query: String? {
    pathEnd < targetEnd ? String(decoding: bytes[(pathEnd + 1)..<targetEnd], as: UTF8.self) : nil
  }

  /// The path split on `/`, each segment percent-decoded: `/a/b%2Fc` is `["a", "b/c"]`, `/` is `[]`, `/a/` is `["a", ""]`.
  /// Empty for `*` too.
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

/// A request method. Methods are case-sensitive tokens (RFC 9110, 9.1).
public enum HTTPMethod: Sendable, Equatable {
  case get
  case head
  case post
  case put
  case delete
  case options
  case patch
  /// A safe method with a body. No route here has it, but a client learns so by 405 and not by 501.
  case query
  case trace
  case connect
  case other(String)

  /// The token as it stands on the wire.
  public var name: String {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .post: "POST"
    case .put: "PUT"
    case .delete: "DELETE"
    case .options: "OPTIONS"
    case .patch: "PATCH"
    case .query: "QUERY"
    case .trace: "TRACE"
    case .connect: "CONNECT"
    case .other(let name): name
    }
  }

  /// Reads a token. A method that is not listed above becomes `other`.
  public init(name: String) {
    switch name {
    case "GET": self = .get
    case "HEAD": self = .head
    case "POST": self = .post
    case "PUT": self = .put
    case "DELETE": self = .delete
    case "OPTIONS": self = .options
    case "PATCH": self = .patch
    case "QUERY": self = .query
    case "TRACE": self = .trace
    case "CONNECT": self = .connect
    default: self = .other(name)
    }
  }
}

extension HTTPMethod {
  /// Reads a token from the wire without building a string for the frequent methods.
  init(_ token: ArraySlice<UInt8>) {
    // Up to eight bytes fit a word, and no known method is longer. The frequent ones are compared as such.
    guard token.count <= 8 else {
      self = .other(String(decoding: token, as: UTF8.self))
      return
    }
    switch token.reduce(UInt64(0), { $0 << 8 | UInt64($1) }) {
    case 0x47_4554: self = .get
    case 0x4845_4144: self = .head
    case 0x504f_5354: self = .post
    case 0x50_5554: self = .put
    default: self = HTTPMethod(name: String(decoding: token, as: UTF8.self))
    }
  }
}
