import VectorStore

/// The tables of the records in PostgreSQL, in a schema of their own.
///
/// Ids, texts and metadata are bytea, because they may hold a zero byte, which PostgreSQL's text cannot. A collection's row is
/// locked by whoever changes it, so that its versions are dense and in the order of the commits: a number from a sequence would
/// be visible to readers before the transaction of a smaller one had ended, and a follower would skip that one.
enum PostgresSchema {
  /// Raised with every change of the tables or of what is in them.
  static let format: Int64 = 2

  /// Statements that bring the schema to the format of their place, beginning with 1.
  private static let migrations: [[StaticString]] = [
    [
      "CREATE TABLE nearfar.format (format bigint NOT NULL)",
      """
      CREATE TABLE nearfar.collections (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text COLLATE "C" NOT NULL UNIQUE,
        dimension integer NOT NULL CHECK (dimension > 0),
        metric text NOT NULL,
        model text,
        recall_target double precision,
        version bigint NOT NULL DEFAULT 0,
        count bigint NOT NULL DEFAULT 0,
        digest bigint NOT NULL DEFAULT 0,
        horizon bigint NOT NULL DEFAULT 0)
      """,
      """
      CREATE TABLE nearfar.points (
        collection bigint NOT NULL,
        id bytea NOT NULL,
        vector bytea NOT NULL,
        text bytea,
        metadata bytea,
        version bigint NOT NULL,
        checksum bigint NOT NULL,
        PRIMARY KEY (collection, id))
      """,
      // Values of f32 do not become smaller by compression.
      "ALTER TABLE nearfar.points ALTER COLUMN vector SET STORAGE EXTERNAL",
      """
      CREATE TABLE nearfar.changes (
        collection bigint NOT NULL,
        version bigint NOT NULL,
        key bytea NOT NULL,
        payload bytea NOT NULL,
        digest bigint NOT NULL,
        created timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (collection, version))
      """,
      "ALTER TABLE nearfar.changes ALTER COLUMN payload SET STORAGE EXTERNAL",
      // What clients' Idempotency-Keys have done: the change of a collection or of a queue.
      """
      CREATE TABLE nearfar.keys (
        key bytea PRIMARY KEY,
        fingerprint bytea NOT NULL,
        version bigint NOT NULL,
        points bigint NOT NULL,
        answer bytea,
        created timestamptz NOT NULL DEFAULT now())
      """,
      // Collections and queues whose points, changes and batches are still to be removed.
      "CREATE TABLE nearfar.dropped (id bigint NOT NULL, kind text NOT NULL, PRIMARY KEY (kind, id))",
      """
      CREATE TABLE nearfar.queues (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text COLLATE "C" NOT NULL UNIQUE,
        capacity bigint NOT NULL CHECK (capacity > 0),
        dimension integer NOT NULL CHECK (dimension > 0),
        version bigint NOT NULL DEFAULT 0,
        appended bigint NOT NULL DEFAULT 0,
        digest bigint NOT NULL DEFAULT 0)
      """,
      // `before` is the number of rows that were ever appended before the batch.
      """
      CREATE TABLE nearfar.queue_batches (
        queue bigint NOT NULL,
        version bigint NOT NULL,
        before bigint NOT NULL,
        rows bigint NOT NULL,
        payload bytea NOT NULL,
        digest bigint NOT NULL,
        PRIMARY KEY (queue, version))
      """,
      "ALTER TABLE nearfar.queue_batches ALTER COLUMN payload SET STORAGE EXTERNAL",
    ],
    [
      // Of a collection that stays in the database: how its vectors are kept, and bounds over all of its rows. Its points are in a table of
      // its own. NULL for one whose points are in nearfar.points and in the memory of the replicas.
      "ALTER TABLE nearfar.collections ADD COLUMN storage text",
      "ALTER TABLE nearfar.collections ADD COLUMN slack double precision NOT NULL DEFAULT 0",
      "ALTER TABLE nearfar.collections ADD COLUMN size double precision NOT NULL DEFAULT 0",
    ],
  ]

  /// "nearfar" in ASCII, as the number of the advisory lock that whoever changes the schema holds.
  private static let lock: Int64 = 0x006E_6561_7266_6172

  /// Makes the tables or brings them up to date, in one transaction. Several replicas may start at once.
  ///
  /// - Throws: for a schema of a newer version, which is left as it is.
  static func prepare(_ connection: PostgresConnection, isReadOnly: Bool) throws(PostgresError) {
    do throws(PostgresError) {
      guard connection.serverVersion >= 140000 else {
        throw PostgresError(
          state: "0A000", message: "the server's version is older than 14", outcome: .refused)
      }
      if let found = try found(connection), found == format { return }
      try connection.run("BEGIN ISOLATION LEVEL READ COMMITTED")
      try connection.run("SELECT pg_advisory_xact_lock($1)", [.integer(lock)], seconds: 60)
      let found = try found(connection) ?? 0
      guard found <= format else {
        throw PostgresError(
          state: "0A000",
          message: "its format is \(found), written by a newer version of nearfar; this one reads \(format)",
          outcome: .refused)
      }
      guard found == format || !isReadOnly else {
        throw PostgresError(
          state: "25006", message: "its format is \(found), and a follower does not change it", outcome: .refused)
      }
      // Whoever may not make schemas may still use one that was made for it.
      let there = try connection.run("SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'nearfar')")
      if there.boolean(0, 0) != true { try connection.run("CREATE SCHEMA nearfar") }
      for migration in migrations[Int(found)...] {
        for statement in migration { try connection.run(statement, seconds: 600) }
      }
      try connection.run("DELETE FROM nearfar.format")
      try connection.run("INSERT INTO nearfar.format (format) VALUES ($1)", [.integer(format)])
      try connection.run("COMMIT")
    } catch {
      if !connection.isLost { _ = try? connection.run("ROLLBACK") }
      throw error
    }
  }

  /// The format of the tables; nil when there are none.
  private static func found(_ connection: PostgresConnection) throws(PostgresError) -> Int64? {
    // Read from the catalogue itself: to_regclass may still remember that there was no such table before the lock was waited for.
    let there = try connection.run(
      """
      SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'nearfar' AND c.relname = 'format')
      """)
    guard there.boolean(0, 0) == true else { return nil }
    let rows = try connection.run("SELECT format FROM nearfar.format")
    guard rows.rows == 1, let format = rows.integer(0, 0), format > 0 else {
      throw .damage("the table nearfar.format does not have one row")
    }
    return format
  }
}

extension PostgresError {
  /// - Parameter what: what failed, naming the place.
  func asOpenError(_ what: String) -> OpenError { OpenError(what, asStoreError) }
}
