import VectorStore

/// The extension `vector` (pgvector) of the database.
struct VectorExtension: Sendable {
  /// Its types and operators are found by this search path; nil where they are found without setting one.
  let path: String?
  /// Whether a walk over the index goes on where a filter leaves too few rows (version 0.8).
  let iterates: Bool

  /// The first version that has halfvec.
  private static let oldest = (0, 7)

  /// Finds it, and makes it where the database has the files of it and the user may.
  ///
  /// - Parameter mayCreate: whether it may be made now.
  /// - Returns: the extension, or why there is none that can be used.
  static func find(
    _ connection: PostgresConnection, mayCreate: Bool
  ) throws(PostgresError) -> Result<VectorExtension, StoreError> {
    if let found = try read(connection) { return found.checked }
    guard mayCreate else { return .failure(.unsupported("the database does not have the extension vector (pgvector)")) }
    do throws(PostgresError) {
      try connection.run("CREATE EXTENSION IF NOT EXISTS vector", seconds: 60)
    } catch {
      guard error.outcome == .refused else { throw error }
      return .failure(
        .unsupported(
          "the database does not have the extension vector (pgvector) of version 0.7 or later: \(error.message)"))
    }
    guard let made = try read(connection) else {
      return .failure(.unsupported("the database does not have the extension vector (pgvector)"))
    }
    return made.checked
  }

  private struct Found {
    let path: String?
    let version: String

    var checked: Result<VectorExtension, StoreError> {
      let parts = version.split(separator: ".").map { Int($0) ?? 0 } + [0, 0]
      guard (parts[0], parts[1]) >= VectorExtension.oldest else {
        return .failure(
          .unsupported("the database's extension vector (pgvector) has version \(version); 0.7 or later is needed"))
      }
      return .success(VectorExtension(path: path, iterates: (parts[0], parts[1]) >= (0, 8)))
    }
  }

  private static func read(_ connection: PostgresConnection) throws(PostgresError) -> Found? {
    let rows = try connection.run(
      """
      SELECT e.extversion, CASE WHEN to_regtype('vector') IS DISTINCT FROM t.oid::regtype
        THEN 'pg_catalog, ' || quote_ident(n.nspname) END
      FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
      JOIN pg_catalog.pg_type t ON t.typnamespace = n.oid AND t.typname = 'vector' WHERE e.extname = 'vector'
      """)
    guard rows.rows == 1, let version = rows.text(0, 0) else { return nil }
    return Found(path: rows.text(0, 1), version: version)
  }

  /// Has the rest of the transaction find the extension's types.
  func setPath(_ connection: PostgresConnection) throws(PostgresError) {
    guard let path else { return }
    try connection.run("SELECT set_config('search_path', $1, true)", [.text(path)])
  }
}
