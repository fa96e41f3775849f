/// A handler's verdict on a request head.
public enum Admission: Sendable {
  /// Read the body, up to so many bytes (413 beyond).
  case accept(maxBodyBytes: Int)
  /// Answer at once; the body is not wanted.
  case reject(Response)
}

/// Where the answer to one request goes.
public protocol ReplyChannel: Sendable {
  /// Any thread, once; later calls are ignored.
  func send(_ response: Response)
  /// True when the client went away: work for it may be dropped. Any thread, cheap (one atomic load).
  var isAbandoned: Bool { get }
  /// Monotonic nanoseconds when the request's last byte had been parsed.
  var receivedAt: UInt64 { get }
}

/// What stands behind the wire.
public protocol RequestHandler: Sendable {
  /// Head parsed, body not read yet (before `100 Continue`). Loop thread; must not block.
  func admit(_ head: RequestHead) -> Admission
  /// Whole request. Loop thread; must not block; answer now or later through `reply`.
  func handle(_ request: Request, reply: any ReplyChannel)
  /// After all requests of one pass of the loop were handed over: hand collected jobs to the queues here.
  func endOfPass()
  /// The body and fields of an answer the wire layer gives itself. `head` is nil where it could not be parsed.
  func failureResponse(_ failure: RequestFailure, head: RequestHead?) -> Response
}
