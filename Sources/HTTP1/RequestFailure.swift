/// What the wire layer found wrong before a handler could see a request:
/// 400, 405 (TRACE, CONNECT), 408, 411, 413, 414, 417, 431, 501, 503 or 505; and 500 for a handler that lets a request
/// go without an answer.
public struct RequestFailure: Error, Sendable, Equatable {
  public var status: Int
  /// One sentence for the client: what is wrong and, for a limit, its size.
  public var reason: String

  public init(status: Int, reason: String) {
    self.status = status
    self.reason = reason
  }

  static func bad(_ reason: String) -> RequestFailure { RequestFailure(status: 400, reason: reason) }
}
