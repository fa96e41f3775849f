/// Counters of a server at one moment.
public struct ServerStatistics: Sendable, Equatable {
  /// Connections open now.
  public var connectionsOpen = 0
  /// Connections accepted since the start, refused ones included.
  public var connectionsAccepted = 0
  /// Connections answered 503 or dropped for lack of room.
  public var connectionsRejected = 0
  /// Requests handed to the handler.
  public var requests = 0
  /// Requests the wire layer answered itself for a fault in them.
  public var failures = 0
  public var bytesReceived = 0
  public var bytesSent = 0

  public init() {}
}
