/// Sizes and times one connection is held to. Times are nanoseconds.
public struct ConnectionLimits: Sendable {
  /// Request line, fields and the empty line together.
  public var maxHeadBytes = 16_384
  /// Field lines of one head, and of one trailer section.
  public var maxFields = 100
  /// Unread body of a rejected request that is read and dropped to keep the connection.
  public var maxDiscardBytes = 65_536
  /// Bytes of following requests held while one is being answered; reading stops beyond.
  public var maxPipelinedBytes = 65_536
  /// Bytes dropped after the last answer, so that the client reads it instead of a reset.
  public var maxLingerBytes = 268_435_456

  public var idleTimeout: UInt64 = 75_000_000_000
  public var headTimeout: UInt64 = 10_000_000_000
  public var bodyTimeout: UInt64 = 10_000_000_000
  public var writeTimeout: UInt64 = 30_000_000_000
  /// Longest silence while lingering.
  public var lingerPause: UInt64 = 2_000_000_000
  /// Longest lingering in all.
  public var lingerTimeout: UInt64 = 10_000_000_000
  /// Bytes per second a body must arrive with, on average, once `bodyTimeout` has passed.
  public var minimumBodyRate: UInt64 = 1024

  public init() {}
}
