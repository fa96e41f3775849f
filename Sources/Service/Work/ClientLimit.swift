import HTTP1

/// How many requests one client, and the holders of one API key, may have in flight: from the end of a request's head to its answer.
struct ClientLimit: Sendable {
  /// A request's places among those of its client and of its key, held until the request is answered.
  struct Places: Sendable {
    fileprivate let client: Share?
    fileprivate let key: Share?

    func end() {
      client?.end()
      key?.end()
    }
  }

  /// By IPv4 address or IPv6 network of 64 bits; nil for any number.
  private let clients: Shares<IPAddress>?
  /// By the key's name; nil for any number.
  private let keys: Shares<String>?

  /// - Parameters:
  ///   - perClient: 0 for any number.
  ///   - perKey: 0 for any number.
  init(perClient: Int, perKey: Int) {
    clients = perClient > 0 ? Shares(limit: perClient) : nil
    keys = perKey > 0 ? Shares(limit: perKey) : nil
  }

  /// Counts a request, unless it is a probe or another one that costs next to nothing. Where a client's address or a key's name is not
  /// known, the request is not counted there.
  ///
  /// - Returns: nil where it is counted nowhere.
  /// - Throws: ``Problem``: 429 with `Retry-After`.
  func take(_ exchange: Exchange, _ action: Action) throws(Problem) -> Places? {
    guard clients != nil || keys != nil, !action.isImmediate, action.work != .operation else { return nil }
    let client = try Self.take(exchange.client?.subscriber, clients, .client) { _ in "this client" }
    // The client's place is released when this fails.
    let key = try Self.take(exchange.caller.name, keys, .key) { "the API key '\($0)'" }
    return client == nil && key == nil ? nil : Places(client: client, key: key)
  }

  private static func take<Holder>(
    _ holder: Holder?, _ shares: Shares<Holder>?, _ reason: Rejection, _ name: (Holder) -> String
  ) throws(Problem) -> Share? {
    guard let shares, let holder else { return nil }
    if let share = shares.take(holder) { return share }
    throw Problem(429, "\(name(holder)) has \(shares.limit) requests in flight, which is the limit", reason)
  }
}
