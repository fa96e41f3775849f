/// Address, limits and times of a server. Times are seconds.
public struct ServerConfiguration: Sendable {
  /// An IPv4 or IPv6 address or a name that resolves to one.
  public var host: String
  /// 0 takes a free port.
  public var port: Int
  /// Request line and fields together (414, 431 beyond).
  public var maxHeadBytes = 16_384
  /// Field lines of one request (431 beyond).
  public var maxFields = 100
  /// Connections served at once; further ones are answered 503 and closed.
  public var maxConnections = 1024
  /// Between two requests of a connection.
  public var idleTimeout = 75.0
  /// From the first byte of a head to its last; also from accepting to the first byte.
  public var headTimeout = 10.0
  /// Without any progress of a body; also the grace before `minimumBodyRate` counts.
  public var bodyTimeout = 10.0
  /// Bytes per second a body must arrive with, on average.
  public var minimumBodyRate = 1024
  /// Without the client taking any byte of an answer.
  public var writeTimeout = 30.0
  /// From `drain()` to cutting off what is still in flight.
  public var drainTimeout = 30.0
  /// Connections the kernel holds before they are accepted.
  public var backlog = 1024

  public init(host: String = "127.0.0.1", port: Int = 8080) {
    self.host = host
    self.port = port
  }
}
