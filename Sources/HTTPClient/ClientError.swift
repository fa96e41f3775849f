/// Why an exchange with a service gave no answer.
public struct ClientError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    /// The URL is not one that this client speaks.
    case url
    /// No connection came about.
    case unreachable
    /// The connection ended, or nothing came for too long, before the answer was whole.
    case interrupted
    /// What came is not HTTP/1.1, or larger than allowed.
    case unreadable
    /// Whoever takes the body could not.
    case receiver
  }

  public let kind: Kind
  public let description: String

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }

  /// Asking once more, later, may help.
  public var isTransient: Bool { kind == .unreachable || kind == .interrupted }
}
