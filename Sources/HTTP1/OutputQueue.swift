/// Bytes on their way to one client: a run of small messages, then at most one long body that is not copied.
public struct OutputQueue: Sendable {
  /// Everything but a long body.
  var bytes: [UInt8] = []
  private var body: [UInt8] = []
  /// Bytes of the part in turn that are sent.
  private var sent = 0

  init() {}

  /// Bytes waiting.
  public var count: Int { bytes.count &+ body.count &- sent }

  /// True while a long body waits: nothing may be put behind it.
  var isBlocked: Bool { !body.isEmpty }

  mutating func append(body: [UInt8], inlineLimit: Int) {
    if body.count <= inlineLimit {
      bytes += body
    } else {
      self.body = body
    }
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
    body = []
    // One unusually long run must not be kept for the life of an idle connection.
    bytes.removeAll(keepingCapacity: bytes.capacity <= 65_536)
  }
}
