import PostgresRecords
import SQLiteRecords
import VectorStore

/// `nearfar migrate`: copies the collections of a data folder into a database that replicas share.
enum MigrateCommand: Command {
  static let name = "migrate"
  static let summary = "copy the collections of a data folder into a PostgreSQL database"
  static let details = """
    Copies every collection of a data folder that no service has open into a PostgreSQL database, from which \
    'nearfar serve --store' serves it. Nothing in the folder changes. Vectors, texts, metadata and settings stay as they \
    are; versions begin anew.

    A call that was interrupted is made again, and goes on where it was. At the end both sides are read and compared, point by \
    point. One line per collection goes to standard output.

    The exit status is 1, and nothing is written, when the folder is damaged, or when the database has a collection of the \
    same name with other settings or with content that is not from this folder.
    """
  static let flags: [any CommandFlag] = [from, to]

  private static let from = Flag("from", .dataFolder, .required, "The data folder.")
  private static let to = Flag(
    "to", Storage.url, .optional(meaning: "the address in \(Storage.store.variable)"),
    "The database. The variable keeps a password out of the list of processes; PGPASSWORD and PGSSLROOTCERT are read, too."
  )

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 {
    let folder = try arguments.value(from)
    // The flag of serve is not one of this command, so its value comes from the environment alone.
    let named = try arguments.given(to)
    let usual = try arguments.given(Storage.store)
    guard let url = named ?? usual else {
      throw UsageError("--to is required, or the variable \(Storage.store.variable)")
    }
    return CommandError.status { () throws(CommandError) in
      do throws(OpenError) { try migrate(folder, url) } catch { throw CommandError(error.description) }
    }
  }

  private static func migrate(_ folder: String, _ url: String) throws(OpenError) {
    let log = Log()
    let source = try SQLiteRecords.openForReading(folder)
    defer { source.close() }
    let database = try PostgresRecords.open(url, progress: log.info)
    defer { database.close() }
    var progress = ProgressLine("copied")
    var copied = 0
    let outcomes = try Migration(from: source, to: database).run { step in
      switch step {
      case .reading(let name): progress.say("reading collection '\(name)'")
      case .copied(let points, let all):
        copied = points
        progress.show(points: points, done: Double(points) / Double(all))
      case .comparing(let name): progress.say("comparing collection '\(name)' with its copy")
      }
    }
    progress.finish(points: copied)
    for outcome in outcomes { print(line(outcome)) }
  }

  private static func line(_ outcome: Migration.Outcome) -> String {
    let digest = String(UInt64(bitPattern: outcome.digest), radix: 16)
    let padded = String(repeating: "0", count: 16 - digest.count) + digest
    let found = outcome.found > 0 ? ", \(outcome.found) of them by an earlier call" : ""
    return "\(outcome.name): \(counted(outcome.points, "point")) copied\(found); both sides have the digest \(padded)"
  }
}
