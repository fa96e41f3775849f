/// A body that is made piece by piece while it is sent, so that it is never held as a whole.
///
/// A piece is asked for only when the piece before it has left for the kernel: a client that reads slowly holds the
/// pieces up, and one that goes away lets the stream, with all it holds, be released.
public struct BodyStream: Sendable {
  /// Bytes of all pieces together: the answer's Content-Length.
  public let count: Int
  /// The next piece, called by one thread at a time, which must not block. An empty one ends the stream; before `count`
  /// bytes have come that is a failure, and the connection is dropped so that the client does not take the part for
  /// the whole. What comes beyond `count` is cut off.
  public let next: @Sendable () -> [UInt8]

  public init(count: Int, next: @escaping @Sendable () -> [UInt8]) {
    self.count = max(0, count)
    self.next = next
  }
}
