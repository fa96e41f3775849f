import CSQLite
import VectorStore

/// The tables of the records in SQLite.
enum Schema {
  /// "NEAR": the `PRAGMA application_id` of our files.
  static let applicationID = 0x4E45_4152
  /// The `PRAGMA user_version`; raised with every change of the tables or of what is in them.
  ///
  /// * 1: the tables below whose first format is 1.
  /// * 2: the same tables, but old deletions are forgotten: a tombstone without an id has the version from which on all of them
  ///   are remembered. A dropped collection stays, under a name that no other can have, until its rows are gone.
  /// * 3: a collection may have a recall target of its own, which its checksum then includes.
  static let format = 3

  /// The name and statement of every table and index, and the first format that has it.
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

  /// Makes the tables in a new file, or checks those that are there.
  ///
  /// - Parameters:
  ///   - path: for messages.
  ///   - creates: whether an empty file may be a new one.
  static func prepare(_ connection: Connection, path: String, creates: Bool) throws(OpenError) {
    do throws(SQLiteError) {
      let application = try connection.value("PRAGMA application_id") ?? ""
      let format = try connection.value("PRAGMA user_version") ?? ""
      let held = try connection.value("SELECT count(*) FROM sqlite_master") ?? ""
      if (application, format, held) == ("0", "0", "0") {
        guard creates else { throw SQLiteError.unusable("it is empty, though the folder was in use") }
        try create(connection)
        return
      }
      guard application == "\(applicationID)" else {
        throw SQLiteError.unusable("it is a database of another program")
      }
      guard let found = Int(format), (1...self.format).contains(found) else {
        let age = Int(format).map { $0 > self.format } ?? false ? "a newer version of nearfar" : "another version"
        throw SQLiteError.unusable("its data format is \(format), written by \(age); this one reads \(self.format)")
      }
      try check(connection, format: found)
    } catch {
      throw error.asOpenError("\(path) cannot be used")
    }
  }

  /// Brings an older file of ours to this format, which may hold whatever the older one may. All of it or nothing.
  static func upgrade(_ connection: Connection) throws(SQLiteError) {
    guard let found = Int(try connection.value("PRAGMA user_version") ?? ""), found != format else { return }
    do throws(SQLiteError) {
      try connection.run("BEGIN IMMEDIATE")
      for object in objects where object.since > found { try connection.run(object.sql) }
      try connection.run("PRAGMA user_version = \(format)")
      try connection.run("COMMIT")
    } catch {
      if connection.isInTransaction { try? connection.run("ROLLBACK") }
      throw error
    }
  }

  private static func create(_ connection: Connection) throws(SQLiteError) {
    // About five rows of 384 values per page. The size must be set before the first page is written.
    try connection.run("PRAGMA page_size = 8192")
    try connection.run("BEGIN IMMEDIATE")
    for object in objects { try connection.run(object.sql) }
    try connection.run("PRAGMA application_id = \(applicationID)")
    try connection.run("PRAGMA user_version = \(format)")
    try connection.run("COMMIT")
  }

  /// Checks the file's structure, and that its tables are those of `format`, as they were made.
  private static func check(_ connection: Connection, format: Int) throws(SQLiteError) {
    try checkStructure(connection)
    for object in objects {
      let statement = try Statement(connection, "SELECT sql FROM sqlite_master WHERE name = ?")
      let found = try statement.first(.text(object.name)) { $0.text(0) } ?? nil
      guard found == (object.since <= format ? object.sql : nil) else {
        throw SQLiteError.damage("'\(object.name)' is not as it was made")
      }
    }
  }

  /// SQLite's own check of the file's structure.
  ///
  /// - Throws: what is damaged; or what kept SQLite from reading a page, which its check lists like damage.
  static func checkStructure(_ connection: Connection) throws(SQLiteError) {
    let found = try connection.value("PRAGMA integrity_check(1)") ?? "no answer"
    guard found != "ok" else { return }
    // The first line only names the database; the rest goes into one line of the log.
    let text = found.split(separator: "\n").filter { !$0.hasPrefix("***") }.joined(separator: "; ")
    if let code = errorCode(in: text) {
      let error = SQLiteError(code: code, message: "it cannot be read: \(text)")
      if !error.isDamage { throw error }
    }
    throw SQLiteError.damage(text)
  }

  /// The SQLite code in a message like "Page 7: unable to get the page. error code=3082"; nil when there is none.
  private static func errorCode(in text: String) -> Int32? {
    let words = text.split { !$0.isLetter && !$0.isNumber }
    for (index, word) in words.enumerated() where word == "code" && index > 0 && words[index - 1] == "error" {
      guard index + 1 < words.count, let code = Int32(words[index + 1]), code != 0 else { continue }
      return code
    }
    return nil
  }
}
