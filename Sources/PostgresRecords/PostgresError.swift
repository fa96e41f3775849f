import CPQ
import VectorStore

/// Why the database did not do what it was asked.
package struct PostgresError: Error, Sendable, Equatable {
  /// What is known of the transaction that the statement belonged to.
  package enum Outcome: Sendable, Equatable {
    /// The database has refused it: nothing of the transaction is stored.
    case refused
    /// The connection was lost, or no answer came in time. Nothing is stored unless COMMIT had been sent.
    case unknown
  }

  /// Five letters and digits (PostgreSQL's documentation, appendix A); nil where the failure is not the database's answer.
  package let state: String?
  package let message: String
  let outcome: Outcome

  /// The connection cannot be used any more, or could not be made.
  static func lost(_ message: String) -> PostgresError {
    PostgresError(state: nil, message: message, outcome: .unknown)
  }

  /// The records are not used any more.
  static let closed = PostgresError(state: nil, message: "the store is closed", outcome: .refused)

  /// A connection that failed, or that the server has refused.
  ///
  /// - Parameter text: libpq's message in its verbose form: lines such as `FATAL:  28P01: password authentication failed`, of which
  ///   the last one counts where several servers were tried. Lines that only add to the one before do not count.
  package static func connection(_ text: String) -> PostgresError {
    let lines = text.split(whereSeparator: \.isNewline).map { $0.drop(while: \.isWhitespace) }
      .filter { line in !additions.contains { line.hasPrefix($0) } }
    guard let line = lines.last else { return .lost("the connection failed") }
    for start in line.indices {
      let rest = line[start...]
      guard rest.hasPrefix(":  ") else { continue }
      let code = rest.dropFirst(3).prefix(5)
      guard code.utf8.count == 5, code.utf8.allSatisfy(isCodeByte), rest.dropFirst(8).hasPrefix(": ") else { continue }
      return PostgresError(state: String(code), message: String(rest.dropFirst(10)), outcome: .unknown)
    }
    return .lost(lines.joined(separator: "; "))
  }

  /// libpq's labels of such lines; it speaks English, whatever language the server's messages are in.
  private static let additions = ["LOCATION:", "DETAIL:", "HINT:", "CONTEXT:"]

  private static func isCodeByte(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
  }

  /// The database may be there soon: it cannot be reached, or is starting or full of connections.
  package var mayPass: Bool { state.map { $0.hasPrefix("57P") || $0 == "53300" } ?? true }

  /// What is stored is not what was written; `what` says how that shows.
  static func damage(_ what: String) -> PostgresError {
    PostgresError(state: "XX001", message: what, outcome: .refused)
  }

  /// Another transaction was in the way, or the server is being stopped: the same transaction may succeed if it is tried again.
  var isTransient: Bool {
    guard let state else { return false }
    // 40: rolled back because of a conflict; 57P: the server shuts down or starts; 57014: time ran out; 23505: another transaction was
    // the first to store the same key, which the next attempt then finds.
    return state.hasPrefix("40") || state.hasPrefix("57P") || ["57014", "53300", "25006", "23505"].contains(state)
  }

  /// The connection is of no further use: it is lost, or its server is being stopped or is now read-only after a failover.
  var endsConnection: Bool {
    guard let state else { return true }
    return state.hasPrefix("57P") || state.hasPrefix("08") || state == "25006"
  }

  var asStoreError: StoreError {
    switch state {
    case "53100": return .full
    case "55P03": return .busy
    case "53200": return .outOfMemory
    case "XX001", "XX002": return .damaged("the database is damaged: \(message)")
    case "25006": return .unavailable("the database can only be read at the moment: \(message)")
    case let state?: return .unavailable("the database refused: \(message) (SQLSTATE \(state))")
    case nil where self == .closed: return .unavailable(message)
    case nil: return .unavailable("the database cannot be reached: \(message)")
    }
  }
}
