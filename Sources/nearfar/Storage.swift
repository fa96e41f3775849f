import PostgresRecords
import SQLiteRecords
import VectorStore

/// Where `nearfar serve` keeps collections: in memory, in a folder of its own, or in a database that several replicas share.
enum Storage {
  case data(DataLocation)
  case database(Database)

  struct Database {
    let url: String
    /// A direct connection, where `url` leads to a pool.
    let listenURL: String?
    /// Whether this replica only reads.
    let follows: Bool
    /// A folder of this replica alone, where its graphs are saved; nil for none.
    let snapshots: String?
  }

  private static let dataFolder = Flag(
    "data", .text("DIR"), .defaults(to: ":memory:"), isVariable: true,
    "The folder that keeps collections, for one writing process at a time; :memory: keeps nothing.")
  /// Also read by `nearfar migrate`, from the environment.
  static let store = Flag(
    "store", url, .optional(meaning: "--data"), isVariable: true,
    "The PostgreSQL database that keeps collections, shared by all replicas that name it. The variable keeps a password out of the "
      + "list of processes; PGPASSWORD and PGSSLROOTCERT are read, too.")
  private static let storeListen = Flag(
    "store-listen", url, .optional(meaning: "--store"), isVariable: true,
    "A direct connection to the same database for notifications, where --store leads to a pool such as pgbouncer.")
  private static let follow = Flag(
    "follow", .standingAlone, .defaults(to: false), isVariable: true,
    "This replica only reads the database of --store: writes are answered 503.")
  private static let snapshots = Flag(
    "snapshot-dir", .text("DIR"), .optional(meaning: "graphs are built at each start"), isVariable: true,
    "A folder of this replica alone, where it saves the search graphs of --store, so that its next start is quick.")
  private static let isLowMemory = Flag(
    "low-memory", .standingAlone, .defaults(to: false), isVariable: true,
    "Vectors stay in a mapped file of the data folder, or of --snapshot-dir, instead of memory; codes and graphs stay in memory."
  )

  /// What is not an address is not repeated, since it may hold a password.
  static let url = Accepted<String>(placeholder: "URL", rule: nil) { text throws(UsageError) in
    guard !text.isEmpty else { return nil }
    guard StoreURL.isOne(text) else {
      throw UsageError("must be the address of a database, postgresql://USER@HOST:PORT/NAME")
    }
    return text
  }

  static let flags: [any CommandFlag] = [dataFolder, store, storeListen, follow, snapshots, isLowMemory]

  /// What the flags say, and whether vectors stay in a mapped file.
  static func read(_ arguments: Arguments) throws(UsageError) -> (storage: Storage, lowMemory: Bool) {
    let folder = try arguments.value(dataFolder)
    let lowMemory = try arguments.value(isLowMemory)
    guard let url = try arguments.given(store) else {
      for flag in [storeListen.name, follow.name, snapshots.name] where try isGiven(flag, arguments) {
        throw UsageError("--\(flag) needs --store URL")
      }
      guard !lowMemory || folder != ":memory:" else {
        throw UsageError("--low-memory keeps vectors in a file and needs --data DIR")
      }
      return (.data(folder == ":memory:" ? .memory : .folder(folder)), lowMemory)
    }
    guard folder == ":memory:" else { throw UsageError("--data and --store exclude each other") }
    let database = Database(
      url: url, listenURL: try arguments.given(storeListen), follows: try arguments.value(follow),
      snapshots: try arguments.given(snapshots))
    guard !lowMemory || database.snapshots != nil else {
      throw UsageError("--low-memory keeps vectors in a file and, with --store, needs --snapshot-dir DIR")
    }
    return (.database(database), lowMemory)
  }

  private static func isGiven(_ name: String, _ arguments: Arguments) throws(UsageError) -> Bool {
    switch name {
    case storeListen.name: try arguments.given(storeListen) != nil
    case snapshots.name: try arguments.given(snapshots) != nil
    default: try arguments.value(follow)
    }
  }

  /// The flag that chose it, for messages.
  var flag: String {
    switch self {
    case .data: "--data"
    case .database: "--store"
    }
  }

  /// Opens it, and says where collections are kept.
  func open(_ log: Log) throws(OpenError) -> any Records {
    switch self {
    case .data(let data):
      log.info(
        data == .memory
          ? "collections are in memory: nothing is kept (--data DIR keeps them)" : "collections are kept in \(data)")
      return try SQLiteRecords.open(data, progress: log.info)
    case .database(let database):
      let records = try PostgresRecords.open(
        database.url, listenURL: database.listenURL, readOnly: database.follows, folder: database.snapshots,
        progress: log.info)
      log.info(
        "collections are kept in \(records.location)\(database.follows ? ", which this replica only reads" : "")")
      return records
    }
  }
}
