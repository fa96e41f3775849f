import CPQ
import Platform
import VectorStore

/// One connection to PostgreSQL. One thread at a time. Every call ends by its deadline: a database that does not answer must not
/// hold up a request.
///
/// Statements are sent with their parameters and without preparing them, and keep no state in the session between transactions,
/// so that a pool in front of the database (pgbouncer in transaction mode) may give each transaction another session. Only
/// ``pipeline(_:_:seconds:)`` keeps some, where the session is its own.
// SAFETY: libpq's connection is open from `init` to `deinit`, and used by one thread at a time.
final class PostgresConnection {
  let handle: OpaquePointer
  /// Whether a call has failed in a way that leaves the connection of no use.
  private(set) var isLost = false
  /// Whether LISTEN has been sent.
  var isListening = false
  /// What the session keeps.
  var session = PostgresSession()
  /// What was sent ahead, and has not been answered.
  var begun: Answers?

  /// Whether the database is known not to answer, so that waiting for it is of no use.
  private let isAway: @Sendable () -> Bool

  /// - Parameters:
  ///   - servers: an address as `postgresql://…`, or in any other form that libpq takes.
  ///   - seconds: within which the connection has to be made.
  init(
    _ servers: ServerOrder, name: String, seconds: Double, isAway: @escaping @Sendable () -> Bool = { false }
  ) throws(PostgresError) {
    self.isAway = isAway
    // Keywords beside the URL are defaults; what the URL says is not overridden, because it comes last.
    var options: [(String, String)] = [
      ("application_name", name), ("client_encoding", "UTF8"), ("keepalives_idle", "5"), ("keepalives_interval", "2"),
      ("keepalives_count", "3"), ("tcp_user_timeout", "10000"), ("dbname", servers.url),
    ]
    options += servers.options
    let keys = CStrings(options.map(\.0))
    let values = CStrings(options.map(\.1))
    guard let handle = PQconnectStartParams(keys.pointers, values.pointers, 1) else {
      throw PostgresError(state: "53200", message: "there is not enough memory", outcome: .refused)
    }
    self.handle = handle
    nf_pq_silence(handle)
    // Refusals of a connection have their code in the text alone, and only in this form of it.
    PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
    let deadline = Self.now + seconds
    var waits: Int16 = Int16(POLLOUT)
    guard PQstatus(handle) != CONNECTION_BAD else { throw failure() }
    while true {
      guard wait(for: waits, until: deadline) else {
        isLost = true
        servers.passOver(
          host: PQhost(handle).map { String(cString: $0) } ?? "", port: PQport(handle).map { String(cString: $0) } ?? ""
        )
        throw .lost(isAway() ? Self.silence : "no connection within \(seconds) s")
      }
      switch PQconnectPoll(handle) {
      case PGRES_POLLING_OK:
        PQsetnonblocking(handle, 1)
        return
      case PGRES_POLLING_READING: waits = Int16(POLLIN)
      case PGRES_POLLING_WRITING: waits = Int16(POLLOUT)
      default: throw failure()
      }
    }
  }

  deinit { PQfinish(handle) }

  /// The server's version, for example 150020 for 15.20.
  var serverVersion: Int { Int(PQserverVersion(handle)) }

  /// Runs one statement and returns its rows.
  ///
  /// - Parameters:
  ///   - sql: constant text; values go into parameters.
  ///   - seconds: within which the answer has to be there.
  @discardableResult func run(
    _ sql: StaticString, _ values: [PostgresValue] = [], seconds: Double = 10
  ) throws(PostgresError) -> PostgresResult {
    let deadline = Self.now + seconds
    try send(sql, values)
    return try result(until: deadline)
  }

  enum TransactionKind {
    case plain
    /// Everything that it reads is of one moment.
    case snapshot
    /// Its statements wait for locks, take and leave it idle for a bounded time.
    case bounded
  }

  /// Runs `body` in a transaction, which is rolled back when it throws.
  func transaction<Answer>(
    _ kind: TransactionKind = .plain, _ body: () throws(PostgresError) -> Answer
  ) throws(PostgresError) -> Answer {
    do throws(PostgresError) {
      switch kind {
      // Said each time, because a database may have another default, in which a transaction that waited for a lock sees the past.
      case .plain: try run("BEGIN ISOLATION LEVEL READ COMMITTED")
      case .snapshot: try run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
      case .bounded: try beginBounded()
      }
      let answer = try body()
      try run("COMMIT")
      return answer
    } catch {
      if !isLost { _ = try? run("ROLLBACK") }
      throw error
    }
  }

  /// Begins a transaction that cannot stand in the way of others for long, whatever becomes of this process. It waits for a lock only
  /// shortly, since what this process does for other collections waits with it; whoever asked tries again.
  func beginBounded() throws(PostgresError) {
    try run("BEGIN ISOLATION LEVEL READ COMMITTED")
    try run(
      """
      SELECT set_config('lock_timeout', '300ms', true), set_config('statement_timeout', '60s', true),
      set_config('idle_in_transaction_session_timeout', '15s', true)
      """)
  }

  /// Bytes of all parameters of a statement.
  private static let mostBytes = 1_000_000_000

  /// Sends a statement without waiting for its answer, which ``result(until:)`` then waits for.
  func send(_ sql: StaticString, _ values: [PostgresValue]) throws(PostgresError) {
    // SAFETY: a static string ends with a zero byte.
    let sent = sql.withUTF8Buffer { text in
      Result { () throws(PostgresError) in try send(text: text, values) }
    }
    try sent.get()
  }

  /// - Parameter text: ends with a zero byte, which may stand behind the buffer.
  private func send(text: UnsafeBufferPointer<UInt8>, _ values: [PostgresValue]) throws(PostgresError) {
    let types = values.map(\.type)
    try send(values) { count, pointers, lengths, formats in
      text.withMemoryRebound(to: CChar.self) { text in
        // SAFETY: the text ends with a zero byte; libpq copies the parameters before it returns.
        PQsendQueryParams(handle, text.baseAddress, count, types, pointers, lengths, formats, 1)
      }
    }
  }

  /// Sends values for a statement that was prepared under this name.
  func sendPrepared(_ name: String, _ values: [PostgresValue]) throws(PostgresError) {
    try send(values) { count, pointers, lengths, formats in
      // SAFETY: as above.
      PQsendQueryPrepared(handle, name, count, pointers, lengths, formats, 1)
    }
  }

  /// Calls `send` with pointers to the bytes of each value, their lengths and their formats.
  private func send(
    _ values: [PostgresValue],
    _ send: (Int32, [UnsafePointer<CChar>?], [Int32], [Int32]) -> Int32
  ) throws(PostgresError) {
    guard !isLost else { throw .lost("the connection is lost") }
    // One block of memory holds all values; an empty one needs an address, too, because a null pointer is NULL.
    var all: [UInt8] = []
    all.reserveCapacity(values.reduce(1) { $0 + $1.mostBytes })
    var starts: [Int?] = []
    var lengths: [Int32] = []
    for value in values {
      let start = all.count
      starts.append(value.encode(to: &all) ? start : nil)
      lengths.append(Int32(truncatingIfNeeded: all.count - start))
    }
    // PostgreSQL takes messages of less than 1 GiB, and would end the connection.
    guard all.count < Self.mostBytes else {
      throw PostgresError(
        state: "54000", message: "the change has more than the \(Self.mostBytes) bytes that a statement may have",
        outcome: .refused)
    }
    all.append(0)
    let formats = [Int32](repeating: 1, count: values.count)
    let sent = all.withUnsafeBufferPointer { bytes in
      bytes.withMemoryRebound(to: CChar.self) { chars in
        send(
          Int32(values.count),
          starts.map { start in start.flatMap { offset in chars.baseAddress.map { $0 + offset } } },
          lengths, formats)
      }
    }
    guard sent == 1 else { throw failure() }
  }

  /// As ``run(_:_:seconds:)``, for a statement that was put together.
  @discardableResult func run(
    _ statement: PostgresStatement, seconds: Double = 10
  ) throws(PostgresError) -> PostgresResult {
    let deadline = Self.now + seconds
    try send(statement)
    return try result(until: deadline)
  }

  func send(_ statement: PostgresStatement) throws(PostgresError) {
    let types = statement.values.map(\.type)
    try send(statement.values) { count, pointers, lengths, formats in
      statement.withText { text in
        // SAFETY: as above.
        PQsendQueryParams(handle, text, count, types, pointers, lengths, formats, 1)
      }
    }
  }

  /// Waits for the answer to what was sent.
  private func result(until deadline: Double) throws(PostgresError) -> PostgresResult {
    try flush(until: deadline)
    var last: PostgresResult?
    while true {
      while PQisBusy(handle) == 1 {
        guard wait(for: Int16(POLLIN), until: deadline) else { throw timeOut() }
        guard PQconsumeInput(handle) == 1 else { throw failure() }
      }
      guard let next = PQgetResult(handle) else { break }
      let result = PostgresResult(next)
      // The first failure counts.
      if last?.status != PGRES_FATAL_ERROR { last = result }
      if [PGRES_COPY_OUT, PGRES_COPY_IN].contains(result.status) { break }
    }
    guard let last else { throw failure() }
    switch last.status {
    case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_COPY_OUT, PGRES_COPY_IN: return last
    default:
      let error = last.error
      if PQstatus(handle) == CONNECTION_BAD || error.endsConnection { isLost = true }
      // The server says why it ends the connection; whether a COMMIT was done is then not known.
      guard isLost else { throw error }
      throw PostgresError(state: error.state, message: error.message, outcome: .unknown)
    }
  }

  func flush(until deadline: Double) throws(PostgresError) {
    while true {
      switch PQflush(handle) {
      case 0: return
      case 1:
        guard wait(for: Int16(POLLIN) | Int16(POLLOUT), until: deadline) else { throw timeOut() }
        guard PQconsumeInput(handle) == 1 else { throw failure() }
      default: throw failure()
      }
    }
  }

  /// Whether notifications have come since the last call; waits for one for at most so many seconds.
  func hasNotifications(seconds: Double) throws(PostgresError) -> Bool {
    guard !isLost else { throw .lost("the connection is lost") }
    let deadline = Self.now + seconds
    var found = false
    while true {
      while let notification = PQnotifies(handle) {
        nf_pq_free_notify(notification)
        found = true
      }
      if found { return true }
      guard wait(for: Int16(POLLIN), until: deadline) else { return false }
      guard PQconsumeInput(handle) == 1 else { throw failure() }
    }
  }

  /// Lets go of the connection in the middle of something: the next use makes a new one.
  func abandon() { isLost = true }

  /// Reads the rows of a COPY … TO STDOUT (FORMAT binary) that ``run(_:_:seconds:)`` has begun.
  ///
  /// - Parameter seconds: within which each next part has to come.
  func copyOut(seconds: Double, _ body: (UnsafeRawBufferPointer) throws(PostgresError) -> Void) throws(PostgresError) {
    while true {
      var start: UnsafeMutablePointer<CChar>?
      let count = PQgetCopyData(handle, &start, 1)
      if count == 0 {
        guard wait(for: Int16(POLLIN), until: Self.now + seconds) else { throw timeOut() }
        guard PQconsumeInput(handle) == 1 else { throw failure() }
        continue
      }
      guard count > 0, let start else { break }
      defer { PQfreemem(start) }
      try body(UnsafeRawBufferPointer(start: start, count: Int(count)))
    }
    _ = try result(until: Self.now + seconds)
  }

  // MARK: Waiting

  /// Seconds of a clock that never goes back.
  static var now: Double { Double(SystemClock.monotonic) / 1e9 }

  /// Waits until the socket is ready for one of `events`.
  ///
  /// - Returns: false when it was not by the deadline, or when the database does not answer others either.
  func wait(for events: Int16, until deadline: Double) -> Bool {
    let socket = PQsocket(handle)
    guard socket >= 0 else { return true }
    while true {
      let left = deadline - Self.now
      guard left > 0 else { return false }
      var entry = pollfd(fd: socket, events: events, revents: 0)
      let ready = poll(&entry, 1, Int32((min(left, Self.longestWait) * 1000).rounded(.up)))
      if ready > 0 { return true }
      if ready < 0, errno != EINTR { return true }
      if ready == 0, isAway() { return false }
    }
  }

  /// Seconds after which a wait looks whether the database answers others.
  private static let longestWait = 0.1

  /// The socket, for whoever waits for it elsewhere.
  var descriptor: Int32 { PQsocket(handle) }

  func timeOut() -> PostgresError {
    isLost = true
    return .lost(isAway() ? Self.silence : "no answer in time")
  }

  static let silence = "it does not answer"

  /// What libpq says.
  func failure() -> PostgresError {
    isLost = true
    return .connection(String(cString: PQerrorMessage(handle)))
  }
}

/// An array of C strings that ends with a null pointer.
private final class CStrings {
  let pointers: UnsafeMutablePointer<UnsafePointer<CChar>?>
  private let copies: [UnsafeMutablePointer<CChar>?]

  // SAFETY: the strings and the array live as long as this.
  init(_ strings: [String]) {
    copies = strings.map { strdup($0) }
    pointers = .allocate(capacity: strings.count + 1)
    for (place, copy) in copies.enumerated() { (pointers + place).initialize(to: copy.map { UnsafePointer($0) }) }
    (pointers + strings.count).initialize(to: nil)
  }

  deinit {
    for copy in copies { free(copy) }
    pointers.deallocate()
  }
}
