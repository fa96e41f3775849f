import Dispatch
import VectorStore

/// What reads points.
extension PostgresVectors {
  func state(of collection: DatabaseCollection) throws(StoreError) -> DatabaseState {
    let row = try ask { connection throws(PostgresError) in
      let rows = try connection.run(VectorRows.state(of: collection), seconds: Self.quick)
      return rows.rows == 1 ? try VectorRows.state(rows) : nil
    }
    return try present(row, collection)
  }

  /// Runs a statement on the collection's table, behind one that reads its state, in one transaction. So the state is not newer
  /// than what is read.
  private func read<Answer>(
    _ collection: DatabaseCollection, _ statement: PostgresStatement,
    _ decode: (PostgresResult) throws(PostgresError) -> Answer
  ) throws(StoreError) -> (DatabaseState, Answer) {
    let (state, answer) = try ask(about: collection) {
      connection throws(PostgresError) -> (DatabaseState?, Answer) in
      let results = try connection.pipeline(
        [VectorRows.state(of: collection), statement], seconds: PointTable.statementSeconds)
      guard results.count == 2 else { throw .damage("two statements did not give two results") }
      return (results[0].rows == 1 ? try VectorRows.state(results[0]) : nil, try decode(results[1]))
    }
    return (try present(state, collection), answer)
  }

  func points(
    _ ids: [String], of collection: DatabaseCollection, _ parts: PointParts
  ) throws(StoreError) -> (state: DatabaseState, points: [Point]) {
    let (state, points) = try read(collection, VectorRows.select(ids, of: collection, parts)) {
      rows throws(PostgresError) in try VectorRows.points(rows, collection, parts)
    }
    return (state, points)
  }

  func points(
    of collection: DatabaseCollection, matching filter: Filter?, after: String?, limit: Int, _ parts: PointParts
  ) throws(StoreError) -> (state: DatabaseState, points: [Point]) {
    let statement = VectorRows.page(of: collection, matching: filter, after: after, limit: limit, parts)
    let (state, points) = try read(collection, statement) { rows throws(PostgresError) in
      try VectorRows.points(rows, collection, parts)
    }
    return (state, points)
  }

  func count(
    of collection: DatabaseCollection, matching filter: Filter?
  ) throws(StoreError) -> (version: Int, count: Int) {
    guard let filter else {
      let state = try state(of: collection)
      return (state.version, state.count)
    }
    let (state, count) = try read(collection, VectorRows.count(of: collection, matching: filter)) {
      rows throws(PostgresError) in Int(rows.integer(0, 0) ?? 0)
    }
    return (state.version, count)
  }

  func snapshot(of collection: DatabaseCollection) throws(StoreError) -> any DatabaseSnapshot {
    let connection: PostgresConnection
    let found: DatabaseState?
    do throws(PostgresError) {
      connection = try PostgresConnection(servers, name: "nearfar export", seconds: Self.quick) { [watch] in
        watch.isAway
      }
      try connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", seconds: Self.quick)
      // Longer than a snapshot is held between two answers.
      try connection.run("SELECT set_config('idle_in_transaction_session_timeout', '300s', true)")
      let rows = try connection.run(VectorRows.state(of: collection))
      found = rows.rows == 1 ? try VectorRows.state(rows) : nil
    } catch {
      throw error.asStoreError
    }
    return VectorSnapshot(collection, try present(found, collection), connection)
  }
}

/// The collection in one snapshot of the database, which a transaction of its own holds.
// SAFETY: the connection is used under the lock only.
final class VectorSnapshot: DatabaseSnapshot, @unchecked Sendable {
  let collection: DatabaseCollection
  let state: DatabaseState
  private let connection: PostgresConnection
  private let turn = DispatchQueue(label: "nearfar.database.export", qos: .userInitiated)

  init(_ collection: DatabaseCollection, _ state: DatabaseState, _ connection: PostgresConnection) {
    self.collection = collection
    self.state = state
    self.connection = connection
  }

  func page(after: String?, limit: Int, withVectors: Bool) throws(StoreError) -> [Point] {
    let parts = PointParts(vector: withVectors, text: !withVectors, metadata: !withVectors)
    let statement = VectorRows.page(of: collection, matching: nil, after: after, limit: limit, parts)
    let result = turn.sync { () -> Result<[Point], StoreError> in
      do throws(PostgresError) {
        let rows = try connection.run(statement, seconds: PointTable.statementSeconds)
        return .success(try VectorRows.points(rows, collection, parts))
      } catch {
        return .failure(error.asStoreError)
      }
    }
    return try result.get()
  }
}
