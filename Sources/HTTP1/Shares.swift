import Synchronization

/// How much each client has of something of which none may have more than a number: connections, requests in flight. Any thread may use it.
///
/// A client is forgotten when it has nothing any more, and the memory for many clients is given back when few are left.
public final class Shares<Client: Hashable & Sendable>: Sendable {
  /// The most that one client may have.
  public let limit: Int
  private let counts = Mutex<[Client: Int]>([:])

  public init(limit: Int) {
    precondition(limit > 0, "a client that may have nothing cannot be served")
    self.limit = limit
  }

  /// Clients that have something now.
  public var clients: Int { counts.withLock { $0.count } }

  /// Counts one more for the client.
  ///
  /// - Returns: what counts until it is ended or released; nil when the client has as much as it may.
  public func take(_ client: Client) -> Share? {
    let isTaken = counts.withLock { counts in
      let count = counts[client] ?? 0
      guard count < limit else { return false }
      counts[client] = count + 1
      return true
    }
    return isTaken ? Share { [self] in giveBack(client) } : nil
  }

  private func giveBack(_ client: Client) {
    counts.withLock { counts in
      guard let count = counts[client] else { return }
      counts[client] = count > 1 ? count - 1 : nil
      if counts.capacity > 256, counts.count < counts.capacity / 8 {
        counts = Dictionary(uniqueKeysWithValues: counts.map { ($0, $1) })
      }
    }
  }
}

/// One of what a client has.
public final class Share: Sendable {
  private let giveBack: @Sendable () -> Void
  private let isEnded = Atomic(false)

  fileprivate init(_ giveBack: @escaping @Sendable () -> Void) { self.giveBack = giveBack }

  /// The client has it no longer. Calls after the first do nothing.
  public func end() {
    if !isEnded.exchange(true, ordering: .relaxed) { giveBack() }
  }

  deinit { end() }
}
