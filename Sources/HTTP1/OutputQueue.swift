/// Bytes on their way to one client: a run of small messages, then at most one long body that is not copied.
public struct OutputQueue: Sendable {
  /// Everything but a long body.
  var bytes: [UInt8] = []
  private var body: [UInt8] = []
  /// Bytes of the part in turn that are sent.
  private var sent = 0
  /// Makes the pieces that follow `body`.
  private var stream: BodyStream?
  /// Bytes that the stream still owes.
  private var owed = 0
  /// A stream ended before its time: what was promised to the client cannot be kept.
  private(set) var isBroken = false

  init() {}

  /// Bytes waiting; pieces that a stream has not made yet do not count.
  public var count: Int { bytes.count &+ body.count &- sent }

  /// True while a long body waits: nothing may be put behind it.
  var isBlocked: Bool { !body.isEmpty || stream != nil }

  /// True while a stream has pieces to make.
  public var isStreaming: Bool { stream != nil }

  mutating func append(body: [UInt8], inlineLimit: Int) {
    if body.count <= inlineLimit {
      bytes += body
    } else {
      self.body = body
    }
  }

  mutating func append(stream: BodyStream) {
    guard stream.count > 0 else { return }
    self.stream = stream
    owed = stream.count
    body = nextPiece()
  }

  /// Lends the two parts that are to be sent next, in order; either may be empty.
  public func withParts<Result>(_ send: (Span<UInt8>, Span<UInt8>) -> Result) -> Result {
    if sent < bytes.count { return send(bytes.span.extracting(droppingFirst: sent), body.span) }
    return send(bytes.span.extracting(first: 0), body.span.extracting(droppingFirst: sent &- bytes.count))
  }

  /// Takes note that the first `amount` waiting bytes are sent.
  mutating func drop(_ amount: Int) {
    sent &+= amount
    guard sent >= bytes.count &+ body.count else { return }
    sent = 0
    // The old piece goes before the new one comes.
    body = []
    body = nextPiece()
    // One unusually long run must not be kept for the life of an idle connection.
    bytes.removeAll(keepingCapacity: bytes.capacity <= 65_536)
  }

  private mutating func nextPiece() -> [UInt8] {
    guard let stream else { return [] }
    var piece = stream.next()
    if piece.count > owed { piece.removeLast(piece.count &- owed) }
    owed &-= piece.count
    if owed == 0 || piece.isEmpty { self.stream = nil }
    if piece.isEmpty { isBroken = true }
    return piece
  }
}
