import Synchronization

/// What a connection keeps in its session of the database from one transaction to the next, so that it need not be sent again:
/// statements that are prepared, and settings.
///
/// This needs a session of one's own. A pool in front of the database (pgbouncer in transaction mode) gives each transaction another
/// one, and nothing may be left in those.
struct PostgresSession {
  enum Kind {
    /// Not asked yet.
    case unknown
    /// Of a pool, which lends it for one transaction.
    case lent
    case own
  }

  private struct Statement: Hashable {
    let text: [UInt8]
    let types: [UInt32]
    let planned: Int?
  }

  /// Statements that are kept; beyond that all of them are dropped, and those that are still in use are prepared anew.
  private static let mostStatements = 64
  /// Which of all the processes that a pool may have given the session before. A name that two of them use for different statements
  /// would be a wrong answer, and one that is not there is an error, which can be dealt with.
  private static let process = String(UInt32.random(in: 0...UInt32.max), radix: 36)
  private static let prepared = Atomic<Int>(0)

  var kind = Kind.unknown
  private var names: [Statement: String] = [:]
  /// Those that are not at the database's default.
  private var settings: [Setting: String] = [:]
  /// Whether the session may hold statements that are not in `names`.
  private(set) var mustClear = false

  /// A setting of the database, by its name.
  enum Setting: String {
    case searchPath = "search_path"
    case pool = "hnsw.ef_search"
    case iterativeScan = "hnsw.iterative_scan"
    case compiling = "jit"
  }

  /// The name under which a statement is prepared, and whether it still has to be.
  mutating func name(of statement: PostgresStatement) -> (name: String, isNew: Bool) {
    let key = Statement(text: statement.text, types: statement.values.map(\.type), planned: statement.planned)
    if let name = names[key] { return (name, false) }
    let name = "nf_\(Self.process)_\(Self.prepared.add(1, ordering: .relaxed).newValue)"
    names[key] = name
    return (name, true)
  }

  /// To be called before a transaction that adds at most so many statements.
  mutating func makeRoom(for count: Int) {
    if names.count + count > Self.mostStatements { forgetStatements() }
  }

  /// What was prepared is dropped before the next transaction. Preparing is not undone with a transaction that fails, and how far that
  /// got is not known.
  mutating func forgetStatements() {
    names = [:]
    mustClear = true
  }

  mutating func cleared() { mustClear = false }

  /// Those settings that the session does not have yet.
  func missing(_ wanted: [(Setting, String?)]) -> [(Setting, String?)] {
    wanted.filter { setting, value in settings[setting] != value }
  }

  /// Notes what a transaction has set that has ended well; others leave the settings as they were.
  mutating func hold(_ changed: [(Setting, String?)]) {
    for (setting, value) in changed { settings[setting] = value }
  }

  /// What a refusal means for the session.
  ///
  /// - Returns: whether the same transaction may succeed if it is tried again.
  mutating func isMended(after refusal: PostgresError) -> Bool {
    guard kind == .own else { return false }
    forgetStatements()
    switch refusal.state {
    // A statement is not there, although it was prepared: somebody else has this session, too.
    case "26000":
      self = PostgresSession()
      kind = .lent
      return true
    // A table has changed since the statement was prepared.
    case "0A000": return true
    default: return false
    }
  }
}
