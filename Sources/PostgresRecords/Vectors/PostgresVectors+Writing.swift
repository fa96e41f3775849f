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

  func upsert(
    _ points: [Point], model: String?, key: ChangeKey?, into collection: DatabaseCollection
  ) throws(StoreError) -> Int {
    try PointCheck.check(points, dimension: collection.dimension, metric: collection.metric)
    let share = min(Self.rowsPerInsert, max(1, Self.valuesPerInsert / collection.dimension))
    let (_, version) = try write(collection, key) { row, connection throws(PostgresError) -> Result<Int, StoreError> in
      if let model {
        if let held = row.stored.model, held != model {
          return .failure(.conflict("the collection's texts were embedded by another model, \(held)"))
        }
        row.stored.model = model
      }
      guard !points.isEmpty else { return .success(0) }
      row.stored.version += 1
      for start in stride(from: 0, to: points.count, by: share) {
        let part = points[start..<min(start + share, points.count)]
        let rows = part.map { NearRow($0.vector, collection.metric, collection.storage) }
        for each in rows { row.widen(each) }
        row.stored.count += try VectorTables.upsert(part, rows, collection, connection)
      }
      return .success(points.count)
    }
    return version
  }

  func change(
    _ changes: [MetadataChange], _ mode: MetadataChange.Mode, key: ChangeKey?, in collection: DatabaseCollection
  ) throws(StoreError) -> (version: Int, updated: Int, missing: [String]) {
    try PointCheck.check(ids: changes.map(\.id))
    let table = VectorTable(collection)
    var missing: [String] = []
    let (updated, version) = try write(collection, key) {
      row, connection throws(PostgresError) -> Result<Int, StoreError> in
      let before = try VectorRows.read(
        changes.map(\.id), of: collection, PointParts(vector: false, text: false, metadata: true), connection)
      // Keyed by bytes, since String takes canonically equivalent ids for the same.
      let held = Dictionary(before.map { (Array($0.id.utf8), $0.metadata) }, uniquingKeysWith: { $1 })
      var changed: [(id: String, metadata: [UInt8]?)] = []
      missing = []
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
      return .success(changed.count)
    }
    return (version, updated, missing)
  }

  func delete(
    _ choice: PointChoice, key: ChangeKey?, from collection: DatabaseCollection
  ) throws(StoreError) -> (version: Int, deleted: Int) {
    let (deleted, version) = try write(collection, key) {
      row, connection throws(PostgresError) -> Result<Int, StoreError> in
      if case .ids(let ids) = choice, ids.isEmpty { return .success(0) }
      let deleted = try VectorTables.delete(choice, VectorTable(collection), connection)
      if deleted > 0 {
        row.stored.version += 1
        row.stored.count -= deleted
      }
      return .success(deleted)
    }
    return (version, deleted)
  }

  /// What became of a transaction.
  private enum Outcome {
    /// The number of points that were changed, and the version that has the change.
    case done(Result<(points: Int, version: Int), StoreError>, DatabaseState?)
    /// COMMIT was sent, and no answer came: `number` is the transaction's.
    case unknown(points: Int, DatabaseState, number: [UInt8], PostgresError)
  }

  /// Runs `body` in a transaction that holds the lock of the collection's row, and writes the row.
  ///
  /// - Parameters:
  ///   - key: a change that was stored under it is not stored again, and the outcome is the first one's.
  ///   - body: returns how many points it has changed. It may run again, and runs for nothing where the key is known.
  func write(
    _ collection: DatabaseCollection, _ key: ChangeKey? = nil,
    _ body: (inout PostgresCollection, PostgresConnection) throws(PostgresError) -> Result<Int, StoreError>
  ) throws(StoreError) -> (points: Int, version: Int) {
    guard !isReadOnly else { throw .readOnly }
    let outcome = try ask(about: collection) { connection throws(PostgresError) -> Outcome in
      try connection.run("BEGIN ISOLATION LEVEL READ COMMITTED", seconds: Self.quick)
      do throws(PostgresError) {
        return try self.write(collection, key, connection, body)
      } catch {
        if !connection.isLost { _ = try? connection.run("ROLLBACK") }
        throw error
      }
    }
    switch outcome {
    case .done(let result, let state):
      note(try present(state, collection), of: collection)
      return try result.get()
    case .unknown(let points, let state, let number, let error):
      guard try isCommitted(number) else { throw error.asStoreError }
      note(state, of: collection)
      return (points, state.version)
    }
  }

  private func write(
    _ collection: DatabaseCollection, _ key: ChangeKey?, _ connection: PostgresConnection,
    _ body: (inout PostgresCollection, PostgresConnection) throws(PostgresError) -> Result<Int, StoreError>
  ) throws(PostgresError) -> Outcome {
    try vectorExtension(connection).setPath(connection)
    try connection.run(
      """
      SELECT set_config('lock_timeout', '1500ms', true), set_config('statement_timeout', '60s', true),
      set_config('idle_in_transaction_session_timeout', '15s', true)
      """)
    guard let before = try CollectionTable.lock([collection.id], connection)[collection.id] else {
      try connection.run("ROLLBACK")
      return .done(.failure(.unknownCollection(collection.name)), nil)
    }
    // Under the lock, so that another replica with the same key has ended.
    var known = try KnownKeys.read(key.map { [$0] } ?? [], connection)
    let past = key.flatMap { known.outcome(of: $0) }
    var row = before
    let result = try body(&row, connection)
    guard past == nil, case .success(let points) = result else {
      try connection.run("ROLLBACK")
      return .done(Self.outcome(past, result, before), before.state)
    }
    if row.differs(from: before) { try CollectionTable.write(row, connection) }
    if let key { try known.add(key, version: row.stored.version, points: points, connection) }
    let number = try connection.run("SELECT pg_current_xact_id_if_assigned()::text").bytes(0, 0)
    do throws(PostgresError) {
      try connection.run("COMMIT", seconds: 5)
    } catch {
      guard error.outcome == .unknown, let number else { throw error }
      return .unknown(points: points, row.state, number: number, error)
    }
    return .done(.success((points, row.stored.version)), row.state)
  }

  /// The outcome of a change that is not stored: that of the one before with its key, or why it is refused.
  private static func outcome(
    _ past: Result<Committed, StoreError>?, _ result: Result<Int, StoreError>, _ row: PostgresCollection
  ) -> Result<(points: Int, version: Int), StoreError> {
    switch past {
    case .success(.repeated(let version, let points, _)): .success((points, version))
    case .failure(let error): .failure(error)
    case .success, nil: result.map { ($0, row.stored.version) }
    }
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
