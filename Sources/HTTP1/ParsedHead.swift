/// A request head with what follows from it for the connection.
public struct ParsedHead: Sendable {
  public let head: RequestHead
  /// How the body is delimited.
  public let framing: BodyFraming
  /// True when the client wants and may have further requests on this connection.
  public let persists: Bool
  /// True when the client waits for `100 Continue` before it sends the body.
  public let expectsContinue: Bool
  /// Bytes used up, leading empty lines included.
  public let byteCount: Int

  /// Checks everything that can be said of a head whose lines are well-formed.
  ///
  /// Framing first: a request whose end is in doubt is never anything but 400.
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
    case .get, .head, .delete, .options:
      framing = declared ?? .none
    }
    if control.hasUnknownExpectation, !isHTTP10 {
      throw RequestFailure(status: 417, reason: "only 100-continue can be expected")
    }
    head = RequestHead(method: method, bytes: reduced.bytes, target: reduced.range, fields: fields, isHTTP10: isHTTP10)
    persists = !control.close && (!isHTTP10 || control.keepAlive)
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
