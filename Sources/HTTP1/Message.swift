/// A whole request: its head and its body after transfer decoding.
public struct Request: Sendable {
  public var head: RequestHead
  public var body: [UInt8]

  public init(head: RequestHead, body: [UInt8] = []) {
    self.head = head
    self.body = body
  }
}

/// An answer as a handler gives it.
///
/// Content-Length, Date and Connection are added by the serializer. A HEAD request's answer keeps the Content-Length of
/// the body and drops the bytes.
public struct Response: Sendable {
  public var status: Int
  public var fields: HTTPFields
  public var body: [UInt8]
  /// Sent in place of `body` where there is one.
  public var stream: BodyStream?
  /// True ends the connection after this answer.
  public var closesConnection = false

  public init(status: Int, fields: HTTPFields = HTTPFields(), body: [UInt8] = []) {
    self.status = status
    self.fields = fields
    self.body = body
  }

  public init(status: Int, fields: HTTPFields = HTTPFields(), stream: BodyStream) {
    self.init(status: status, fields: fields)
    self.stream = stream
  }
}
