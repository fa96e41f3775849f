import HTTP1

/// How many requests one client may have in flight: from the end of a request's head to its answer.
struct ClientLimit: Sendable {
  /// Who counts as one client.
  private enum Client: Hashable, Sendable {
    /// An IPv4 address, or the IPv6 network of 64 bits that an address is in.
    case address(IPAddress)

    /// - Returns: nil for a client of which nothing is known.
    init?(_ exchange: Exchange) {
      guard let address = exchange.client else { return nil }
      self = .address(address.subscriber)
    }
  }

  /// nil for any number.
  private let shares: Shares<Client>?

  /// - Parameter requests: 0 for any number.
  init(requests: Int) { shares = requests > 0 ? Shares(limit: requests) : nil }

  /// Counts a request, unless it is a probe or another one that costs next to nothing.
  ///
  /// - Returns: its place among the requests of its client; nil where it is not counted.
  /// - Throws: ``Problem``: 429 with `Retry-After`.
  func take(_ exchange: Exchange, _ action: Action) throws(Problem) -> Share? {
    guard let shares, !action.isImmediate, action.work != .operation, let client = Client(exchange) else { return nil }
    if let share = shares.take(client) { return share }
    throw Problem(429, "this client has \(shares.limit) requests in flight, which is the limit", .client)
  }
}
