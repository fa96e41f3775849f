import CPQ
import VectorStore

/// How a collection is read as a whole.
extension PostgresRecords {
  package func load(
    _ collection: StoredCollection, _ body: (Point) throws(OpenError) -> Void
  ) throws(OpenError) {
    try load(collection, { _ throws(OpenError) in }, body)
  }

  /// Reads the collection's row and its points in one snapshot of the database, the points by COPY.
  package func load(
    _ collection: StoredCollection, _ begin: (StoredCollection) throws(OpenError) -> Void,
    _ body: (Point) throws(OpenError) -> Void
  ) throws(OpenError) {
    let what = "collection '\(collection.name)' in \(location) cannot be loaded"
    let outcome: Result<Void, OpenError>
    do throws(PostgresError) {
      outcome = try loading.with(patiently: true) { connection throws(PostgresError) -> Result<Void, OpenError> in
        do throws(LoadFailure) {
          return .success(try Self.load(collection, connection, begin, body))
        } catch {
          // Otherwise the next reader of the connection would see what this one has seen.
          if !connection.isLost { _ = try? connection.run("ROLLBACK") }
          switch error {
          case .database(let error): throw error
          case .other(let error): return .failure(error)
          }
        }
      }
    } catch {
      throw error.asOpenError(what)
    }
    try outcome.get()
  }

  private enum LoadFailure: Error {
    case database(PostgresError)
    /// The reader's, or about what was read; the connection is in the middle of a COPY.
    case other(OpenError)
  }

  private static func load(
    _ collection: StoredCollection, _ connection: PostgresConnection,
    _ begin: (StoredCollection) throws(OpenError) -> Void, _ body: (Point) throws(OpenError) -> Void
  ) throws(LoadFailure) {
    do throws(PostgresError) {
      try connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
      // COPY takes no parameters; a setting of the transaction takes the number in.
      try connection.run(
        "SELECT set_config('nearfar.collection', $1, true)", [.text(String(collection.id))])
    } catch { throw .database(error) }
    let row: PostgresCollection?
    do throws(PostgresError) { row = try CollectionTable.one(collection.id, connection) } catch {
      throw .database(error)
    }
    guard let row else {
      throw .other(
        OpenError("collection '\(collection.name)' has been dropped", StoreError.unknownCollection(collection.name)))
    }
    do throws(OpenError) { try begin(row.stored) } catch {
      connection.abandon()
      throw .other(error)
    }
    var rows = CopyReader()
    var read = 0
    do throws(PostgresError) {
      try connection.run(
        """
        COPY (SELECT id, vector, text, metadata, version, checksum FROM nearfar.points
        WHERE collection = current_setting('nearfar.collection')::bigint ORDER BY id)
        TO STDOUT (FORMAT binary)
        """, seconds: 600)
    } catch { throw .database(error) }
    var refusal: OpenError?
    do throws(PostgresError) {
      try connection.copyOut(seconds: 60) { bytes throws(PostgresError) in
        guard let point = try rows.point(bytes, row.stored) else { return }
        do throws(OpenError) {
          try body(point)
          read += 1
        } catch {
          // The rest of a large collection is not worth waiting for.
          refusal = error
          throw .lost("the reader has stopped")
        }
      }
      try connection.run("COMMIT")
    } catch {
      guard let refusal else { throw .database(error) }
      connection.abandon()
      throw .other(refusal)
    }
    guard read == row.stored.count else {
      throw .database(
        .damage("collection '\(row.stored.name)' has \(read) points where its row says \(row.stored.count)"))
    }
  }
}
