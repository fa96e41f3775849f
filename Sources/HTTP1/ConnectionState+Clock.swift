// The sizes and times that a connection is held to.

/// Sizes and times that one connection is held to. Times are nanoseconds.
public struct ConnectionLimits: Sendable {
  /// Request line, fields and the empty line together.
  public var maxHeadBytes = 16_384
  /// Field lines of one head, and of one trailer section.
  public var maxFields = 100
  /// Longest remainder of a rejected request's body that is read and dropped to keep the connection.
  public var maxDiscardBytes = 65_536
  /// Bytes of following requests that are held while one is being answered. Beyond that, reading stops.
  public var maxPipelinedBytes = 65_536
  /// Bytes that are read and dropped after the last answer, so that the client can read it before a reset.
  public var maxLingerBytes = 268_435_456

  /// From accepting the connection, or from the end of an answer, to the first byte of a head.
  public var idleTimeout: UInt64 = 75_000_000_000
  /// From the first byte of a head to its last.
  public var headTimeout: UInt64 = 10_000_000_000
  /// Longest pause within a body; also how long a body may take before `minimumBodyRate` counts.
  public var bodyTimeout: UInt64 = 10_000_000_000
  /// Longest time in which the client takes no byte of an answer.
  public var writeTimeout: UInt64 = 30_000_000_000
  /// Longest pause while lingering.
  public var lingerPause: UInt64 = 2_000_000_000
  /// Longest lingering in all.
  public var lingerTimeout: UInt64 = 10_000_000_000
  /// Bytes per second that a body must arrive with, on average.
  public var minimumBodyRate: UInt64 = 1024

  public init() {}
}

/// How fast bytes move that the client could hold up: a body coming in, an answer going out.
struct Pace: Sendable {
  private var start: UInt64
  private var last: UInt64
  private var bytes: UInt64 = 0

  init(now: UInt64) {
    start = now
    last = now
  }

  /// For so long it was not the client that held the bytes up.
  mutating func excuse(_ duration: UInt64) {
    start = start.saturatingAdd(duration)
    last = last.saturatingAdd(duration)
  }

  mutating func moved(_ count: Int, now: UInt64) {
    precondition(count >= 0, "fewer than 0 bytes cannot move")
    last = now
    bytes = bytes &+ UInt64(count)
  }

  /// When the client has been too slow: `pause` after the last byte, or when the average since `pause` after the start
  /// falls below `rate` bytes per second. A trickle of single bytes passes the first test and fails the second.
  func deadline(pause: UInt64, rate: UInt64) -> UInt64 {
    guard rate > 0 else { return last.saturatingAdd(pause) }
    let (scaled, overflow) = bytes.multipliedReportingOverflow(by: 1_000_000_000)
    let average = start.saturatingAdd(pause).saturatingAdd(overflow ? .max : scaled / rate)
    return min(last.saturatingAdd(pause), average)
  }
}

extension ConnectionState {
  /// When `expire` has to be called; `.max` for never. Any other call may move it.
  public var deadline: UInt64 {
    let own: UInt64 =
      switch phase {
      case .head where parser.hasBegun: since.saturatingAdd(limits.headTimeout)
      // The client is still taking an answer, and the idle time begins when it has all of it.
      case .head where isSending: .max
      // Empty lines before a request line are to be ignored (RFC 9112, 2.2), so they neither begin a head nor renew the
      // idle time.
      case .head: since.saturatingAdd(limits.idleTimeout)
      case .body where heldBackSince != nil: .max
      case .body, .discarding: inputPace.deadline(pause: limits.bodyTimeout, rate: limits.minimumBodyRate)
      case .lingering:
        min(inputPace.deadline(pause: limits.lingerPause, rate: 0), since.saturatingAdd(limits.lingerTimeout))
      default: .max
      }
    return hasOutput ? min(own, outputPace.deadline(pause: limits.writeTimeout, rate: 0)) : own
  }

  /// The driver stops receiving the body. The client's time stands still until it goes on.
  public mutating func holdBack(now: UInt64) {
    if phase == .body, heldBackSince == nil { heldBackSince = now }
  }

  /// The driver receives again.
  public mutating func goOn(now: UInt64) {
    guard let since = heldBackSince.take() else { return }
    inputPace.excuse(now &- since)
  }

  /// Acts on the deadline where it has passed. `next` tells what to do.
  ///
  /// - Returns: the time that ran out; nil when none did, or only that for reading what nobody wants.
  @discardableResult
  public mutating func expire(now: UInt64) -> ConnectionTimeout? {
    guard now >= deadline else { return nil }
    if hasOutput, now >= outputPace.deadline(pause: limits.writeTimeout, rate: 0) {
      phase = .closed
      return .write
    }
    switch phase {
    // While draining there is no answer, because the client would then be given time to read it.
    case .head where parser.hasBegun && !isDraining:
      context = ResponseSerializer.Context(isHead: parser.isHead)
      fail(RequestFailure(status: 408, reason: "the request head took too long"))
      return .head
    case .body:
      fail(RequestFailure(status: 408, reason: "the body came too slowly"))
      return .body
    case .discarding:
      phase = .closing
      return .body
    case .head:
      phase = .closed
      return parser.hasBegun ? .head : .idle
    default:
      phase = .closed
      return nil
    }
  }
}

extension UInt64 {
  fileprivate func saturatingAdd(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
