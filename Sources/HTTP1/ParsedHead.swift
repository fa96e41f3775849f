/// A request head, and what follows from it for the connection.
public struct ParsedHead: Sendable {
  public let head: RequestHead
  /// How the body is delimited.
  public let framing: BodyFraming
  /// True when the client wants and may have further requests on this connection.
  public let persists: Bool
  /// True when the client waits for `100 Continue` before it sends the body.
  public let expectsContinue: Bool
  /// Bytes of the input that the head takes, including empty lines before it.
  public let byteCount: Int

  /// Checks what is left to check of a head whose lines are well-formed.
  ///
  /// Framing comes first: a request whose end is in doubt is answered 400, whatever else is wrong with it.
  init(
    bytes: [UInt8], method methodEnd: Int, target: Range<Int>, version: HTTPVersion, lines: [HTTPFields.Line],
    byteCount: Int
  ) throws(RequestFailure) {
    let isHTTP10 = version == .http10
    var control = ControlFields()
    for line in lines { try control.read(line, in: bytes) }
    let declared = try control.framing(isHTTP10: isHTTP10)
    guard control.hosts <= 1 else { throw .bad("more than one Host field") }
    guard control.hosts == 1 || isHTTP10 else { throw .bad("no Host field") }

    let method = HTTPMethod(bytes[..<methodEnd])
    let reduced = try RequestTarget(bytes, target, method: method)
    var fields = HTTPFields(bytes: bytes, lines: lines)
    // The target's authority replaces Host (RFC 9112, 3.2.2).
    if let authority = reduced.authority { fields.set("Host", String(decoding: bytes[authority], as: UTF8.self)) }
    switch method {
    case .other: throw RequestFailure(status: 501, reason: "the method is not implemented")
    case .trace, .connect: throw RequestFailure(status: 405, reason: "\(method.name) is not allowed here")
    case .post, .put, .patch:
      guard let declared else { throw RequestFailure(status: 411, reason: "a Content-Length is required") }
      framing = declared
    case .get, .head, .delete, .options, .query:
      framing = declared ?? .none
    }
    if control.hasUnknownExpectation, !isHTTP10 {
      throw RequestFailure(status: 417, reason: "only 100-continue can be expected")
    }
    head = RequestHead(method: method, bytes: reduced.bytes, target: reduced.range, fields: fields, isHTTP10: isHTTP10)
    persists = !control.closes && (!isHTTP10 || control.keepsAlive)
    // A 1.0 client does not know 1xx answers (RFC 9110, 10.1.1).
    expectsContinue = control.expectsContinue && !isHTTP10 && framing != .none
    self.byteCount = byteCount
  }
}

/// How the end of a body is found (RFC 9112, 6.3).
public enum BodyFraming: Sendable, Equatable {
  /// No body. A Content-Length of 0 is this too.
  case none
  /// So many bytes.
  case length(Int)
  /// The chunked transfer coding.
  case chunked
}

/// The fields that decide about framing and about the connection, read strictly.
struct ControlFields {
  private(set) var hosts = 0
  private(set) var closes = false
  private(set) var keepsAlive = false
  private(set) var expectsContinue = false
  private(set) var hasUnknownExpectation = false
  private var length: Int?
  private var hasTransferEncoding = false
  private var codings = TransferCodings()

  /// Reads one field line. Only names of a length that matters are compared.
  mutating func read(_ line: HTTPFields.Line, in bytes: [UInt8]) throws(RequestFailure) {
    let value = bytes[Int(line.valueStart)..<Int(line.valueEnd)]
    switch line.nameEnd &- line.nameStart {
    case 4 where line.isNamed("host", in: bytes):
      hosts += 1
      guard Authority.isValid(value, requiresPort: false) else { throw .bad("the Host field is not a host and port") }
    case 6 where line.isNamed("expect", in: bytes):
      for option in value.split(separator: ASCII.comma) {
        let word = option.trimmed
        if word.equals("100-continue") {
          expectsContinue = true
        } else if !word.isEmpty {
          hasUnknownExpectation = true
        }
      }
    case 10 where line.isNamed("connection", in: bytes):
      for option in value.split(separator: ASCII.comma) {
        let word = option.trimmed
        closes = closes || word.equals("close")
        keepsAlive = keepsAlive || word.equals("keep-alive")
      }
    case 14 where line.isNamed("content-length", in: bytes):
      // Two lines with the same value are refused as well: RFC 9112, 6.3 allows that, and no client needs them.
      guard length == nil, let number = Self.number(value) else {
        throw .bad("Content-Length is not one decimal number")
      }
      length = number
    case 17 where line.isNamed("transfer-encoding", in: bytes):
      hasTransferEncoding = true
      try codings.read(value)
    default: break
    }
  }

  /// The framing the fields declare; nil when they declare none.
  func framing(isHTTP10: Bool) throws(RequestFailure) -> BodyFraming? {
    guard hasTransferEncoding else { return length.map { $0 == 0 ? .none : .length($0) } }
    guard !isHTTP10 else { throw .bad("Transfer-Encoding in an HTTP/1.0 request") }
    guard length == nil else { throw .bad("both Transfer-Encoding and Content-Length") }
    try codings.requireChunkedAlone()
    return .chunked
  }

  /// 1*DIGIT without overflow; nil otherwise.
  private static func number(_ value: ArraySlice<UInt8>) -> Int? {
    guard !value.isEmpty else { return nil }
    var number = 0
    for byte in value {
      guard ASCII.isDigit(byte) else { return nil }
      let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(Int(byte &- ASCII.zero))
      guard !overflow, !carry else { return nil }
      number = sum
    }
    return number
  }
}

extension HTTPFields.Line {
  /// Compares with a name in lower case.
  @inline(__always)
  func isNamed(_ name: StaticString, in bytes: [UInt8]) -> Bool {
    bytes[Int(nameStart)..<Int(nameEnd)].equals(name)
  }
}
