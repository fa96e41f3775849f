import Platform
import SimilarityCore
import VectorIndex
import VectorStore

/// What changes points. Each change is one transaction, which holds the lock of the collection's row, so that versions are dense and in the
/// order of the commits.
extension PostgresVectors {
  /// Values that one INSERT carries, and rows, which bounds the memory that it takes here and there.
  private static let valuesPerInsert = 1 << 20
  private static let rowsPerInsert = 2000

  func upsert(_ points: [Point], model: String?, into collection: DatabaseCollection) throws(StoreError) -> Int {
    try PointCheck.check(points, dimension: collection.dimension, metric: collection.metric)
    let share = min(Self.rowsPerInsert, max(1, Self.valuesPerInsert / collection.dimension))
    let (_, state) = try write(collection) { row, connection throws(PostgresError) -> Result<Void, StoreError> in
      if let model {
        if let held = row.stored.model, held != model {
          return .failure(.conflict("the collection's texts were embedded by another model, \(held)"))
        }
        row.stored.model = model
      }
      guard !points.isEmpty else { return .success(()) }
      row.stored.version += 1
      for start in stride(from: 0, to: points.count, by: share) {
        let part = points[start..<min(start + share, points.count)]
        let rows = part.map { NearRow($0.vector, collection.metric, collection.storage) }
        for each in rows { row.widen(each) }
        row.stored.count += try VectorTables.upsert(part, rows, collection, connection)
      }
      return .success(())
    }
    return state.version
  }

  func change(
    _ changes: [MetadataChange], _ mode: MetadataChange.Mode, in collection: DatabaseCollection
  ) throws(StoreError) -> (version: Int, updated: Int, missing: [String]) {
    try PointCheck.check(ids: changes.map(\.id))
    let table = VectorTable(collection)
    let (outcome, state) = try write(collection) {
      row, connection throws(PostgresError) -> Result<(updated: Int, missing: [String]), StoreError> in
      let before = try VectorRows.read(
        changes.map(\.id), of: collection, PointParts(vector: false, text: false, metadata: true), connection)
      // Keyed by bytes, since String takes canonically equivalent ids for the same.
      let held = Dictionary(before.map { (Array($0.id.utf8), $0.metadata) }, uniquingKeysWith: { $1 })
      var changed: [(id: String, metadata: [UInt8]?)] = []
      var missing: [String] = []
      for change in changes {
        guard let old = held[Array(change.id.utf8)] else {
          missing.append(change.id)
          continue
        }
        do throws(StoreError) { changed.append((change.id, try change.applied(to: old, mode))) } catch {
          return .failure(error)
        }
      }
      if !changed.isEmpty {
        row.stored.version += 1
        try VectorTables.update(changed, table, connection)
      }
      return .success((changed.count, missing))
    }
    return (state.version, outcome.updated, outcome.missing)
  }

  func delete(
    _ choice: PointChoice, from collection: DatabaseCollection
  ) throws(StoreError) -> (version: Int, deleted: Int) {
    let (deleted, state) = try write(collection) { row, connection throws(PostgresError) -> Result<Int, StoreError> in
      if case .ids(let ids) = choice, ids.isEmpty { return .success(0) }
      let deleted = try VectorTables.delete(choice, VectorTable(collection), connection)
      if deleted > 0 {
        row.stored.version += 1
        row.stored.count -= deleted
      }
      return .success(deleted)
    }
    return (state.version, deleted)
  }

  /// What became of a transaction.
  private enum Outcome<Answer> {
    case done(Result<Answer, StoreError>, DatabaseState?)
    /// COMMIT was sent, and no answer came: `number` is the transaction's.
    case unknown(Answer, DatabaseState, number: [UInt8], PostgresError)
  }

  /// Runs `body` in a transaction that holds the lock of the collection's row, and writes the row.
  func write<Answer>(
    _ collection: DatabaseCollection,
    _ body: (inout PostgresCollection, PostgresConnection) throws(PostgresError) -> Result<Answer, StoreError>
  ) throws(StoreError) -> (Answer, DatabaseState) {
    guard !isReadOnly else { throw .readOnly }
    let outcome = try ask(about: collection) { connection throws(PostgresError) -> Outcome<Answer> in
      try connection.run("BEGIN", seconds: Self.quick)
      do throws(PostgresError) {
        return try self.write(collection, connection, body)
      } catch {
        if !connection.isLost { _ = try? connection.run("ROLLBACK") }
        throw error
      }
    }
    switch outcome {
    case .done(let result, let state):
      let state = try present(state, collection)
      note(state, of: collection)
      return (try result.get(), state)
    case .unknown(let answer, let state, let number, let error):
      guard try isCommitted(number) else { throw error.asStoreError }
      note(state, of: collection)
      return (answer, state)
    }
  }

  private func write<Answer>(
    _ collection: DatabaseCollection, _ connection: PostgresConnection,
    _ body: (inout PostgresCollection, PostgresConnection) throws(PostgresError) -> Result<Answer, StoreError>
  ) throws(PostgresError) -> Outcome<Answer> {
    try connection.run(
      """
      SELECT set_config('search_path', $1, true), set_config('lock_timeout', '1500ms', true),
      set_config('statement_timeout', '60s', true), set_config('idle_in_transaction_session_timeout', '15s', true)
      """, [.text(try vectorExtension(connection).path)])
    guard let before = try CollectionTable.lock([collection.id], connection)[collection.id] else {
      try connection.run("ROLLBACK")
      return .done(.failure(.unknownCollection(collection.name)), nil)
    }
    var row = before
    let answer: Answer
    switch try body(&row, connection) {
    case .success(let given): answer = given
    case .failure(let refusal):
      try connection.run("ROLLBACK")
      return .done(.failure(refusal), before.state)
    }
    guard row.differs(from: before) else {
      try connection.run("COMMIT")
      return .done(.success(answer), row.state)
    }
    try CollectionTable.write(row, connection)
    let number = try connection.run("SELECT pg_current_xact_id()::text").bytes(0, 0) ?? []
    do throws(PostgresError) {
      try connection.run("COMMIT", seconds: 5)
    } catch {
      guard error.outcome == .unknown else { throw error }
      return .unknown(answer, row.state, number: number, error)
    }
    return .done(.success(answer), row.state)
  }

  /// Asks the database, which remembers it for a long time, what became of a transaction.
  ///
  /// - Throws: when that cannot be found out soon; what was written may be stored then.
  private func isCommitted(_ number: [UInt8]) throws(StoreError) -> Bool {
    for _ in 0..<20 {
      let status = try ask { connection throws(PostgresError) -> String? in
        try connection.run(
          "SELECT pg_xact_status($1::text::xid8)", [.text(String(decoding: number, as: UTF8.self))], seconds: Self.quick
        ).text(0, 0)
      }
      switch status {
      case "committed": return true
      case "in progress": usleep(50_000)
      default: return false
      }
    }
    throw .unavailable("the database has not yet said whether the write is stored")
  }
}

extension PostgresCollection {
  /// Takes a row into the bounds of the collection, which only grow.
  fileprivate mutating func widen(_ row: NearRow) {
    slack = max(slack, row.slack)
    size = max(size, row.size)
  }

  fileprivate func differs(from before: PostgresCollection) -> Bool {
    stored != before.stored || slack != before.slack || size != before.size
  }
}
