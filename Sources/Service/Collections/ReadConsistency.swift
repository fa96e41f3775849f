import HTTP1
import JSON
import VectorStore

/// How new the version has to be that a request is answered from.
enum ReadConsistency: String, CaseIterable, Sendable {
  /// What is here, which may be a moment behind what other replicas have written.
  case eventual
  /// Everything that was committed before the request came: the database is asked first.
  case strong
}

extension Fields {
  mutating func consistency() throws(Problem) -> ReadConsistency {
    ReadConsistency(rawValue: try choice("consistency", of: ReadConsistency.allCases.map(\.rawValue))) ?? .eventual
  }
}

extension RequestHead {
  /// The query parameter `consistency`; `eventual` where there is none.
  func consistency() throws(Problem) -> ReadConsistency {
    guard let text = queryItems.last(where: { $0.name == "consistency" })?.value else { return .eventual }
    guard let known = ReadConsistency(rawValue: text) else {
      throw .invalid(
        "consistency", "must be one of \(ReadConsistency.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return known
  }
}

extension Call {
  /// Seconds that a strong read waits for the database to be asked.
  private static let patience = 5.0

  /// Runs `body` when what is here is as new as it has to be: at once, or on a work queue later.
  ///
  /// - Parameter name: what is read, as tokens name it; nil for everything. When it is not known here, another replica may just have
  ///   made it, so that the database is asked.
  func read(
    _ consistency: ReadConsistency, _ store: CollectionStore, of name: String? = nil,
    _ body: @escaping @Sendable () throws -> Void
  ) rethrows {
    let isMissing = name.map { !store.knows($0) } ?? false
    guard store.isShared, consistency == .strong || isMissing else { return try body() }
    refresh(store, of: name, consistency, body)
  }

  /// As the other, for a collection that the path names: it has been looked for before the request came here.
  func read(
    _ consistency: ReadConsistency, _ store: CollectionStore, inPath name: String,
    _ body: @escaping @Sendable () throws -> Void
  ) rethrows {
    guard store.isShared, consistency == .strong else { return try body() }
    refresh(store, of: name, consistency, body)
  }

  private func refresh(
    _ store: CollectionStore, of name: String?, _ consistency: ReadConsistency,
    _ body: @escaping @Sendable () throws -> Void
  ) {
    let seconds = min(consistency == .strong ? Self.patience : VersionFields.patience, secondsLeft)
    store.refresh(of: name, within: seconds) { failure in
      self.resume {
        if let failure, consistency == .strong { throw Problem(describing: failure) }
        try self.requireWaiting()
        try body()
      }
    }
  }
}

/// The tokens of versions that clients carry from answers to requests, so that replicas behind a balancer look like one service.
enum VersionFields {
  static let answer = "X-Nearfar-Version"
  static let request = "x-nearfar-min-version"
  /// How long a replica that is behind may take to catch up.
  static let patience = 1.0
  private static let most = 64

  /// What a request says that it has seen.
  ///
  /// - Throws: 422 for what is no list of tokens.
  static func tokens(in head: RequestHead) throws(Problem) -> [VersionToken] {
    guard let text = head.fields[request] else { return [] }
    var tokens: [VersionToken] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let trimmed = part.drop { $0 == " " || $0 == "\t" }
      let end = trimmed.lastIndex { $0 != " " && $0 != "\t" }
      guard let end, let token = VersionToken(trimmed[...end]), isName(token.name), tokens.count < most
      else {
        throw .invalid(
          "X-Nearfar-Min-Version",
          "must be NAME:EPOCH:VERSION as in an answer's X-Nearfar-Version, or up to \(most) of them with commas between"
        )
      }
      tokens.append(token)
    }
    return tokens
  }

  private static func isName(_ name: String) -> Bool {
    RequestID.isValid(name.hasPrefix(SharedQueues.prefix) ? String(name.dropFirst(SharedQueues.prefix.count)) : name)
  }
}

extension Problem {
  init(_ shortfall: CollectionStore.Shortfall) {
    switch shortfall {
    case .behind(let token):
      self.init(503, "this replica has not reached version \(token.version) of '\(token.name)' yet")
    case .remade(let token):
      self.init(
        410, "'\(token.name)' was deleted and made anew since the version that the request has seen",
        param: "X-Nearfar-Min-Version")
    case .records(let error): self.init(describing: error)
    }
  }
}

extension JSONWriter {
  /// Says when a collection has not been seen in the database for a while, so that what is answered may be old.
  mutating func staleness(of name: String, in store: CollectionStore) {
    let seconds = store.staleSeconds(of: name)
    if seconds > 0 { member("stale_seconds", (seconds * 1000).rounded() / 1000) }
  }
}
