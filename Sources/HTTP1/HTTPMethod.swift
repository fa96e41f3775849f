/// A request method. Methods are case-sensitive tokens (RFC 9110, 9.1).
public enum HTTPMethod: Sendable, Equatable {
  case get
  case head
  case post
  case put
  case delete
  case options
  case patch
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
    case .trace: "TRACE"
    case .connect: "CONNECT"
    case .other(let name): name
    }
  }

  /// Reads a token; anything this server has no name for becomes `other`.
  public init(name: String) {
    switch name {
    case "GET": self = .get
    case "HEAD": self = .head
    case "POST": self = .post
    case "PUT": self = .put
    case "DELETE": self = .delete
    case "OPTIONS": self = .options
    case "PATCH": self = .patch
    case "TRACE": self = .trace
    case "CONNECT": self = .connect
    default: self = .other(name)
    }
  }
}

extension HTTPMethod {
  /// Reads a token from the wire without building a string for the methods that are known.
  init(_ token: ArraySlice<UInt8>) {
    // Two words of text decide; no known method is longer than eight bytes.
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
