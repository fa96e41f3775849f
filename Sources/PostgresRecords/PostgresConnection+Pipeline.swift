import CPQ
import Platform
import VectorStore

/// Several statements in one transaction, and what of them the session keeps (``PostgresSession``).
extension PostgresConnection {
  /// Runs statements in one transaction, which costs one way there and back. They only read, so that they may be sent again where the
  /// session turns out not to hold what it did.
  ///
  /// - Parameters:
  ///   - settings: that hold for these statements, and may hold for later ones. nil is the database's default.
  ///   - seconds: within which all answers have to be there.
  /// - Returns: the rows of each.
  func pipeline(
    _ statements: [PostgresStatement], _ settings: [(PostgresSession.Setting, String?)] = [], seconds: Double
  ) throws(PostgresError) -> [PostgresResult] {
    let deadline = Self.now + seconds
    try findSession(seconds: seconds)
    do throws(PostgresError) {
      return try answers(to: try send(statements, settings), until: deadline)
    } catch {
      guard !isLost, session.isMended(after: error) else { throw error }
      return try answers(to: try send(statements, settings), until: deadline)
    }
  }

  /// Sends a pipeline without waiting for anything, so that the database works on it while a thread is woken that waits for the answer.
  /// Nothing else may be asked of the connection before ``finish(seconds:)``.
  ///
  /// - Returns: false where it could not be sent without waiting.
  func begin(
    _ statements: [PostgresStatement], _ settings: [(PostgresSession.Setting, String?)]
  ) throws(PostgresError) -> Bool {
    guard session.kind != .unknown, begun == nil else { return false }
    let sent = try send(statements, settings)
    guard PQflush(handle) == 0 else {
      // What is on its way cannot be taken back.
      abandon()
      return false
    }
    begun = Answers(sent)
    return true
  }

  /// Takes what has arrived of the answers to what ``begin(_:_:)`` has sent. Unlike there, a failure may be one that does not happen
  /// again.
  ///
  /// - Returns: the rows of each statement; nil while something is missing.
  func progress() throws(PostgresError) -> [PostgresResult]? {
    guard var answers = begun else { throw .lost("nothing was sent") }
    do throws(PostgresError) {
      guard PQconsumeInput(handle) == 1 else { throw failure() }
      let results = try take(&answers)
      begun = results == nil ? answers : nil
      return results
    } catch {
      begun = nil
      if !isLost { _ = session.isMended(after: error) }
      throw error
    }
  }

  /// What was sent, for which the answers have to be read.
  struct Sent {
    /// For each statement, whether its rows are wanted.
    var isWanted: [Bool] = []
    var settings: [(PostgresSession.Setting, String?)] = []
    var clears = false
  }

  /// What has arrived of the answers to what was sent.
  struct Answers {
    let sent: Sent
    fileprivate var results: [PostgresResult] = []
    fileprivate var refusal: PostgresError?
    fileprivate var ends = 0

    fileprivate init(_ sent: Sent) {
      self.sent = sent
      results.reserveCapacity(sent.isWanted.count)
    }
  }

  /// Finds out once whether the session is this connection's own: then the process that answers is the one that took the connection.
  private func findSession(seconds: Double) throws(PostgresError) {
    guard session.kind == .unknown else { return }
    let process = try run("SELECT pg_backend_pid()", seconds: seconds).integer(0, 0)
    session.kind = process == Int64(PQbackendPID(handle)) ? .own : .lent
  }

  private func send(
    _ statements: [PostgresStatement], _ settings: [(PostgresSession.Setting, String?)]
  ) throws(PostgresError) -> Sent {
    guard !isLost else { throw .lost("the connection is lost") }
    guard PQenterPipelineMode(handle) == 1 else { throw failure() }
    var sent = Sent()
    do throws(PostgresError) {
      try send(statements, settings, &sent)
    } catch {
      // Half a pipeline is of no use to the next caller.
      abandon()
      throw error
    }
    // This sends what the socket takes now.
    guard PQpipelineSync(handle) == 1 else { throw failure() }
    return sent
  }

  private func send(
    _ statements: [PostgresStatement], _ settings: [(PostgresSession.Setting, String?)], _ sent: inout Sent
  ) throws(PostgresError) {
    let isOwn = session.kind == .own
    if isOwn { session.makeRoom(for: statements.count) }
    if isOwn, session.mustClear {
      try send("DEALLOCATE ALL", [])
      sent.isWanted.append(false)
      sent.clears = true
    }
    sent.settings = isOwn ? session.missing(settings) : settings.filter { $0.1 != nil }
    if !sent.settings.isEmpty {
      try send(Self.set(sent.settings, isLocal: !isOwn))
      sent.isWanted.append(false)
    }
    for statement in statements {
      if isOwn, statement.planned != nil {
        let (name, isNew) = session.name(of: statement)
        if isNew {
          try prepare(statement, as: name)
          sent.isWanted.append(false)
        }
        try sendPrepared(name, statement.values)
      } else {
        try send(statement)
      }
      sent.isWanted.append(true)
    }
  }

  /// - Parameter isLocal: whether they hold until the end of the transaction only.
  private static func set(_ settings: [(PostgresSession.Setting, String?)], isLocal: Bool) -> PostgresStatement {
    var statement = PostgresStatement("SELECT ")
    for (place, (setting, value)) in settings.enumerated() {
      statement.add(place > 0 ? ", set_config(" : "set_config(")
      statement.add(.text(setting.rawValue))
      statement.add(", ")
      statement.add(.text(value))
      statement.add(isLocal ? ", true)" : ", false)")
    }
    return statement
  }

  private func answers(to sent: Sent, until deadline: Double) throws(PostgresError) -> [PostgresResult] {
    try flush(until: deadline)
    var answers = Answers(sent)
    while true {
      if let results = try take(&answers) { return results }
      guard wait(for: Int16(POLLIN), until: deadline) else { throw timeOut() }
      guard PQconsumeInput(handle) == 1 else { throw failure() }
    }
  }

  /// - Returns: the rows of each statement; nil while something has yet to arrive.
  private func take(_ answers: inout Answers) throws(PostgresError) -> [PostgresResult]? {
    let sent = answers.sent
    while PQisBusy(handle) == 0 {
      guard let next = PQgetResult(handle) else {
        // There is one behind the rows of each statement.
        answers.ends += 1
        guard answers.ends <= sent.isWanted.count, PQstatus(handle) != CONNECTION_BAD else { throw failure() }
        continue
      }
      let result = PostgresResult(next)
      switch result.status {
      case PGRES_PIPELINE_SYNC:
        guard PQexitPipelineMode(handle) == 1 else { throw failure() }
        if let refusal = answers.refusal { throw refusal }
        if session.kind == .own { session.hold(sent.settings) }
        if sent.clears { session.cleared() }
        return answers.results
      case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
        if answers.ends < sent.isWanted.count, sent.isWanted[answers.ends] { answers.results.append(result) }
      case PGRES_PIPELINE_ABORTED: continue
      default:
        let error = result.error
        if PQstatus(handle) == CONNECTION_BAD || error.endsConnection {
          abandon()
          throw PostgresError(state: error.state, message: error.message, outcome: .unknown)
        }
        answers.refusal = answers.refusal ?? error
      }
    }
    return nil
  }

  /// Sends a statement to be prepared, with those values that show the types of its parameters.
  private func prepare(_ statement: PostgresStatement, as name: String) throws(PostgresError) {
    let types = statement.values.map(\.type)
    let sent = statement.withText { text in
      // SAFETY: both texts end with a zero byte; libpq copies everything before it returns.
      PQsendPrepare(handle, name, text, Int32(types.count), types)
    }
    guard sent == 1 else { throw failure() }
  }
}
