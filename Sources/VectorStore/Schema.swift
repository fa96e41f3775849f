/// The data format in SQLite.
enum Schema {
  /// "NEAR": what `PRAGMA application_id` says of a file of ours.
  static let applicationID = 0x4E45_4152
  /// What `PRAGMA user_version` says; raised with every change of the tables or of what is in them.
  ///
  /// * 1: the tables below.
  /// * 2: the same, but not every deletion is there for ever: a tombstone without an id has the version from which on they
  ///   all are. A dropped collection stays, under a name that no other can have, until its rows are gone.
  /// * 3: a collection may have a recall target of its own. Its checksum is then over that as well.
  static let format = 3

  /// Name and statement of every table and index, and the format that brought it.
  static let objects: [(name: String, since: Int, sql: String)] = [
    (
      "collections", 1,
      """
      CREATE TABLE collections (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, dim INTEGER NOT NULL, \
      metric TEXT NOT NULL, model TEXT, version INTEGER NOT NULL, count INTEGER NOT NULL, digest INTEGER NOT NULL, \
      checksum INTEGER NOT NULL) STRICT
      """
    ),
    (
      "points", 1,
      """
      CREATE TABLE points (collection INTEGER NOT NULL, id TEXT NOT NULL, vector BLOB NOT NULL, text TEXT, metadata TEXT, \
      version INTEGER NOT NULL, checksum INTEGER NOT NULL, UNIQUE (collection, id)) STRICT
      """
    ),
    ("points_by_version", 1, "CREATE INDEX points_by_version ON points (collection, version)"),
    (
      "tombstones", 1,
      """
      CREATE TABLE tombstones (collection INTEGER NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, \
      checksum INTEGER NOT NULL, PRIMARY KEY (collection, id)) STRICT, WITHOUT ROWID
      """
    ),
    ("tombstones_by_version", 1, "CREATE INDEX tombstones_by_version ON tombstones (collection, version)"),
    (
      "recall_targets", 3,
      """
      CREATE TABLE recall_targets (collection INTEGER PRIMARY KEY, target REAL NOT NULL, checksum INTEGER NOT NULL) STRICT
      """
    ),
  ]

  /// Makes a new file ours, or checks that it is.
  ///
  /// - Parameter path: for messages.
  /// - Parameter creates: whether an empty file may be a new one.
  static func prepare(_ database: Database, path: String, creates: Bool) throws(OpenError) {
    do throws(SQLiteError) {
      let application = try database.value("PRAGMA application_id") ?? ""
      let format = try database.value("PRAGMA user_version") ?? ""
      let held = try database.value("SELECT count(*) FROM sqlite_master") ?? ""
      if (application, format, held) == ("0", "0", "0") {
        guard creates else { throw SQLiteError(code: 0, message: "it is empty, though the folder was in use") }
        try create(database)
        return
      }
      guard application == "\(applicationID)" else {
        throw SQLiteError(code: 0, message: "it is a database of another program")
      }
      guard let found = Int(format), (1...self.format).contains(found) else {
        let age = Int(format).map { $0 > self.format } ?? false ? "a newer version of nearfar" : "another version"
        throw SQLiteError(
          code: 0, message: "its data format is \(format), written by \(age); this one reads \(self.format)")
      }
      try check(database, format: found)
    } catch {
      throw OpenError("\(path) cannot be used: \(error.message)")
    }
  }

  /// Makes an older file of ours one of this format: whatever that may hold, this one may hold too. All of it or nothing.
  static func upgrade(_ database: Database) throws(SQLiteError) {
    guard let found = Int(try database.value("PRAGMA user_version") ?? ""), found != format else { return }
    do throws(SQLiteError) {
      try database.run("BEGIN IMMEDIATE")
      for object in objects where object.since > found { try database.run(object.sql) }
      try database.run("PRAGMA user_version = \(format)")
      try database.run("COMMIT")
    } catch {
      if database.isInTransaction { try? database.run("ROLLBACK") }
      throw error
    }
  }

  private static func create(_ database: Database) throws(SQLiteError) {
    // Some five rows of 384 values to a page. To be said before the first page is written.
    try database.run("PRAGMA page_size = 8192")
    try database.run("BEGIN IMMEDIATE")
    for object in objects { try database.run(object.sql) }
    try database.run("PRAGMA application_id = \(applicationID)")
    try database.run("PRAGMA user_version = \(format)")
    try database.run("COMMIT")
  }

  /// The file's structure, and that its tables are those of `format`, as they were made.
  private static func check(_ database: Database, format: Int) throws(SQLiteError) {
    let damage = try database.value("PRAGMA integrity_check(1)") ?? "no answer"
    guard damage == "ok" else {
      // One line of the log: the first names the database.
      let lines = damage.split(separator: "\n").filter { !$0.hasPrefix("***") }
      throw SQLiteError(code: 0, message: "it is damaged: \(lines.joined(separator: "; "))")
    }
    for object in objects {
      let statement = try Statement(database, "SELECT sql FROM sqlite_master WHERE name = ?")
      let found = try statement.first(.text(object.name)) { $0.text(0) } ?? nil
      guard found == (object.since <= format ? object.sql : nil) else {
        throw SQLiteError(code: 0, message: "it is damaged: '\(object.name)' is not as it was made")
      }
    }
  }
}
