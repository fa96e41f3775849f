/// Who is at the other end of a connection.
public final class Peer: Sendable {
  /// A numeric address, `127.0.0.1` or `2001:db8::1`; empty where it is not known.
  public let address: String
  public let port: Int
  /// The same address, where it is one.
  public let ip: IPAddress?
  /// The protocol that secures the connection, for instance `TLSv1.3`; nil for plain HTTP.
  public let securedBy: String?
  /// The subject of the certificate that the client has shown (RFC 4514).
  public let certificateSubject: String?

  public init(address: String, port: Int, securedBy: String? = nil, certificateSubject: String? = nil) {
    self.address = address
    self.port = port
    // A link-local address may come with the zone that it is of.
    ip = IPAddress(address.prefix { $0 != "%" })
    self.securedBy = securedBy
    self.certificateSubject = certificateSubject
  }

  /// A peer whose address has no zone.
  public init(ip: IPAddress, port: Int, securedBy: String? = nil, certificateSubject: String? = nil) {
    address = ip.description
    self.port = port
    self.ip = ip
    self.securedBy = securedBy
    self.certificateSubject = certificateSubject
  }

  /// A peer of which nothing is known.
  public static let unknown = Peer(address: "", port: 0)
}

/// A whole request: its head and its body after transfer decoding.
public struct Request: Sendable {
  public var head: RequestHead
  public var peer = Peer.unknown
  /// Which of the server's event loops has read it.
  public var loop = 0
  public var body: [UInt8]
  /// What the handler learned from the head when it let the request in: the route, say.
  public var context: (any Sendable)?

  public init(head: RequestHead, body: [UInt8] = [], context: (any Sendable)? = nil) {
    self.head = head
    self.body = body
    self.context = context
  }
}

/// An answer as a handler gives it.
///
/// The serializer adds Content-Length, Date and Connection. The answer to a HEAD request keeps the Content-Length of the
/// body and leaves out its bytes.
public struct Response: Sendable {
  public var status: Int
  public var fields: HTTPFields
  public var body: [UInt8]
  /// Where there is one, it is sent in place of `body`.
  public var stream: BodyStream?
  /// True ends the connection after this answer.
  public var closesConnection = false
  public var density = Density.text

  /// What compression could make of the body.
  public enum Density: Sendable {
    /// It becomes much smaller.
    case text
    /// Digits of floats: half the size, for more work than text takes.
    case numbers
    /// It hardly becomes smaller: base64 of floats.
    case packed
  }

  public init(status: Int, fields: HTTPFields = HTTPFields(), body: [UInt8] = []) {
    self.status = status
    self.fields = fields
    self.body = body
  }

  /// Bytes of the body; nil where that is not known before they are made.
  public var byteCount: Int? { stream.map(\.count) ?? body.count }

  public init(status: Int, fields: HTTPFields = HTTPFields(), stream: BodyStream) {
    self.init(status: status, fields: fields)
    self.stream = stream
  }
}

/// A body that is made piece by piece while it is sent, so that it is never held as a whole.
///
/// Pieces are made elsewhere, one ahead of the one that is being sent: the thread that sends them never waits for one. A client that
/// reads slowly holds the pieces up, and when it goes away the stream is released with all that it holds.
public struct BodyStream: Sendable {
  /// Takes one piece, from any thread; nil when the rest cannot be made.
  public typealias Delivery = @Sendable (_ piece: [UInt8]?) -> Void

  /// Bytes of all pieces together, which is the answer's Content-Length; nil where that is not known before they are made. Then the
  /// answer is sent in chunks, or for HTTP/1.0, which does not know these, the end of the connection is its end.
  public let count: Int?
  /// Has the next piece made and delivered, once; it is called again only when that has happened. It must not block: what takes
  /// time is to be done by another thread. An empty piece ends the stream. After nil, or an end before `count` bytes have come, the
  /// connection is dropped, so that the client does not take the part for the whole. Bytes beyond `count` are cut off.
  public let next: @Sendable (_ deliver: @escaping Delivery) -> Void

  public init(count: Int?, next: @escaping @Sendable (_ deliver: @escaping Delivery) -> Void) {
    precondition(count ?? 0 >= 0, "a stream cannot have fewer than 0 bytes")
    self.count = count
    self.next = next
  }
}

/// A handler's verdict on a request head.
public enum Admission: Sendable {
  /// Read the body. A body of more bytes is answered 413. The request will carry `context`.
  case accept(maxBodyBytes: Int, context: (any Sendable)? = nil)
  /// Answer at once, without the body.
  case reject(Response)
  /// The head is all that the answer depends on, and this is it. A body is dropped.
  case answer(Response)
}

/// Where the answer to one request goes.
public protocol ReplyChannel: Sendable {
  /// Gives the answer, from any thread. Calls after the first are ignored.
  func send(_ response: Response)
  /// True when the client has gone away, so that work for it may be dropped. Any thread may ask; it costs one atomic load.
  var isAbandoned: Bool { get }
  /// Counts memory that the handler takes for the request, in bytes, until it has answered: what a body has become. Any thread may call it.
  func holds(_ bytes: Int)
  /// When the last byte of the request had been parsed, in nanoseconds of the monotonic clock.
  var receivedAt: UInt64 { get }
}

extension ReplyChannel {
  /// Nothing is counted.
  public func holds(_ bytes: Int) {}
}

/// What answers the requests. All of it but `ReplyChannel.send` is called on the thread of a loop and must not block. With
/// several loops the calls come at the same time, but never two for the same loop.
public protocol RequestHandler: Sendable {
  /// Judges a request by its head, before its body is read and before `100 Continue`.
  func admit(_ head: RequestHead, from peer: Peer) -> Admission
  /// Takes a whole request. The answer goes through `reply`, now or later.
  func handle(_ request: Request, reply: any ReplyChannel)
  /// Called when all requests of one pass of a loop have been handed over: the time to hand on the work that was collected
  /// from the requests of that loop.
  func endOfPass(loop: Int)
  /// Words the answer to a request that the server refuses itself. `head` is nil where it could not be parsed.
  func failureResponse(_ failure: RequestFailure, head: RequestHead?, from peer: Peer) -> Response
}

/// What the server found wrong before a handler could see the request: 400, 405 (TRACE, CONNECT), 408, 411, 413, 414,
/// 417, 431, 501, 503 or 505. Also 500, for a handler that drops a request without an answer,
/// and 499, whose answer nobody gets, for a connection that breaks within a body.
public struct RequestFailure: Error, Sendable, Equatable {
  public var status: Int
  /// One sentence for the client: what is wrong and, where a limit is exceeded, the limit.
  public var reason: String

  public init(status: Int, reason: String) {
    self.status = status
    self.reason = reason
  }

  /// What stands for the status of a request whose client has gone away before the answer, as in nginx's logs. It is never sent.
  public static let clientGone = 499

  static func bad(_ reason: String) -> RequestFailure { RequestFailure(status: 400, reason: reason) }
}
