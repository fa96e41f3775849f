/// What an open connection is doing.
public enum ConnectionActivity: Int, Sendable, CaseIterable {
  /// It is not known yet whose it is, or its TLS handshake is under way.
  case handshake
  /// Between requests.
  case idle
  /// A request is coming in.
  case reading
  /// A request is there, and its answer is not.
  case handling
  /// An answer is being sent.
  case writing
  /// No further request is read.
  case closing
}

/// What a time that ran out was for.
public enum ConnectionTimeout: Int, Sendable, CaseIterable {
  /// The first or next request.
  case idle
  case head
  case body
  /// A piece of an answer, which the client did not take.
  case write
  /// TLS.
  case handshake
  /// The header of the PROXY protocol.
  case proxyHeader
}

extension ConnectionState {
  /// What the connection is doing, once it is established.
  public var activity: ConnectionActivity {
    switch phase {
    case .head where isSending: .writing
    case .head: parser.hasBegun ? .reading : .idle
    case .admitting, .body, .complete, .discarding: .reading
    case .handling, .failed, .failing: .handling
    case .closing: isSending ? .writing : .closing
    case .lingering, .closed: .closing
    }
  }
}
