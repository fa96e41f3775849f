import Platform
import Synchronization
import VectorIndex
import VectorStore

/// Collections that stay in PostgreSQL, in tables that the extension `vector` (pgvector) has an index for. Nothing of their points is in
/// memory, so they may be larger than it.
///
/// The database finds candidates by vectors that are rounded; the scores come from the f32 values, by the function that the index
/// in memory takes its scores from. So an exact search gives the same bytes as there (``VectorSearch``).
final class PostgresVectors: DatabaseEngine {
  private struct Entry {
    let collection: DatabaseCollection
    var state: DatabaseState
  }

  private struct Known {
    var entries: [String: Entry] = [:]
    /// Raised by what this process has made or dropped itself.
    var changes = 0
    var search: VectorExtension?
  }

  /// Connections, and requests that are worked on at once.
  private static let connections = 8
  /// Seconds within which a database that is there answers a small question.
  static let quick = 1.5
  /// Seconds after which a lost connection is not tried again, because whoever asked has waited long enough.
  static let patience = 0.3

  let servers: ServerOrder
  let isReadOnly: Bool
  /// Knows whether the database answers.
  let watch: DatabaseWatch
  private let known = Mutex(Known())
  let pool: ConnectionPool

  init(_ servers: ServerOrder, readOnly: Bool, watch: DatabaseWatch) {
    self.servers = servers
    isReadOnly = readOnly
    self.watch = watch
    pool = ConnectionPool(
      (0..<Self.connections).map { _ in ConnectionSlot(servers, name: "nearfar vectors", watch: watch) })
  }

  func close() { pool.close() }

  // MARK: Which there are

  /// Raised whenever this process makes or drops a collection; to be read before the database is looked at.
  var changes: Int { known.withLock { $0.changes } }

  /// Takes over the collections that a look at the database has shown.
  ///
  /// - Parameter changes: as it was before the look. What this process has made or dropped since may be missing from it, and the next look
  ///   shows that.
  func take(_ rows: [PostgresCollection], after changes: Int) {
    let entries = rows.compactMap { row in row.inDatabase.map { Entry(collection: $0, state: row.state) } }
    known.withLock { known in
      guard known.changes == changes else { return }
      let before = known.entries
      known.entries = Dictionary(entries.map { ($0.collection.name, $0) }, uniquingKeysWith: { $1 })
      // A write of this process may have ended since the look began.
      for (name, entry) in before where entry.collection == known.entries[name]?.collection {
        if let found = known.entries[name], found.state.version < entry.state.version { known.entries[name] = entry }
      }
    }
  }

  func find(_ name: String) -> DatabaseCollection? { known.withLock { $0.entries[name]?.collection } }

  var seen: [(collection: DatabaseCollection, state: DatabaseState)] {
    known.withLock { Array($0.entries.values) }.sorted { $0.collection.name < $1.collection.name }
      .map { ($0.collection, $0.state) }
  }

  /// The state as of the last look or write; nil where none is known.
  func lastState(of collection: DatabaseCollection) -> DatabaseState? {
    known.withLock { known in
      known.entries[collection.name].flatMap { $0.collection == collection ? $0.state : nil }
    }
  }

  private func note(_ row: PostgresCollection) {
    guard let collection = row.inDatabase else { return }
    known.withLock { known in
      known.changes += 1
      known.entries[collection.name] = Entry(collection: collection, state: row.state)
    }
  }

  /// Takes over what a transaction of this process has left.
  func note(_ state: DatabaseState, of collection: DatabaseCollection) {
    known.withLock { known in
      guard let held = known.entries[collection.name], held.collection == collection,
        held.state.version <= state.version
      else { return }
      known.entries[collection.name]?.state = state
    }
  }

  private func forget(_ collection: DatabaseCollection) {
    known.withLock { known in
      known.changes += 1
      if known.entries[collection.name]?.collection == collection { known.entries[collection.name] = nil }
    }
  }

  // MARK: Asking

  func submit(_ work: @escaping @Sendable () -> Void) -> Bool { pool.submit(work) }

  /// Calls `body` with a connection; again when it turns out to have been lost, or when another transaction was in the way.
  func ask<Answer>(
    about collection: DatabaseCollection? = nil, _ body: (PostgresConnection) throws(PostgresError) -> Answer
  ) throws(StoreError) -> Answer {
    let began = SystemClock.monotonic
    while true {
      do throws(PostgresError) {
        return try pool.with(body)
      } catch {
        // The table is gone.
        if let collection, error.state == "42P01" {
          forget(collection)
          throw .unknownCollection(collection.name)
        }
        let isLate = Double(SystemClock.monotonic - began) / 1e9 > Self.patience
        guard !isLate, error.isTransient || error.state == nil, error != .closed else { throw error.asStoreError }
        // A server that was just started needs a moment.
        usleep(20_000)
      }
    }
  }

  /// The extension as it was found; nil before it has been looked for.
  var foundExtension: VectorExtension? { known.withLock { $0.search } }

  /// The extension as the database has it.
  func vectorExtension(_ connection: PostgresConnection) throws(PostgresError) -> VectorExtension {
    if let held = foundExtension { return held }
    switch try VectorExtension.find(connection, mayCreate: false) {
    case .success(let found):
      known.withLock { $0.search = found }
      return found
    case .failure(let reason): throw PostgresError(state: "0A000", message: reason.description, outcome: .refused)
    }
  }

  /// - Throws: ``StoreError/unknownCollection(_:)`` where there is no such row.
  func present(_ state: DatabaseState?, _ collection: DatabaseCollection) throws(StoreError) -> DatabaseState {
    guard let state else {
      forget(collection)
      throw .unknownCollection(collection.name)
    }
    return state
  }

  // MARK: Making and dropping

  func create(
    _ name: String, dimension: Int, metric: Metric, recallTarget: RecallTargetChange, storage: DatabaseStorage?
  ) throws(StoreError) -> (collection: DatabaseCollection, state: DatabaseState, created: Bool) {
    if let found = find(name) {
      do throws(StoreError) {
        return try reuse(found, dimension, metric, recallTarget, storage)
      } catch .unknownCollection {}
    }
    guard !isReadOnly else { throw .readOnly }
    let storage = storage ?? .halfvec
    guard dimension <= storage.mostDimensions else {
      throw .unsupported("an index of \(storage.rawValue) has vectors of at most \(storage.mostDimensions) values")
    }
    var target: RecallTarget?
    if case .set(let wanted) = recallTarget { target = wanted }
    let made = try ask { connection throws(PostgresError) -> Result<PostgresCollection, StoreError> in
      try connection.run("BEGIN ISOLATION LEVEL READ COMMITTED", seconds: Self.quick)
      let outcome: Result<PostgresCollection, StoreError>
      do throws(PostgresError) {
        outcome = try Self.make(name, dimension, metric, target, storage, connection)
        if case .success = outcome { try connection.run("COMMIT") } else { try connection.run("ROLLBACK") }
      } catch {
        if !connection.isLost { _ = try? connection.run("ROLLBACK") }
        throw error
      }
      return outcome
    }
    switch made {
    case .success(let row):
      note(row)
      guard let collection = row.inDatabase else { throw .damaged("a collection was not made as it was asked for") }
      return (collection, row.state, true)
    case .failure(.conflict(let reason)):
      // Another replica may have been faster.
      guard let row = try row(of: name), let found = row.inDatabase else { throw .conflict(reason) }
      note(row)
      return try reuse(found, dimension, metric, recallTarget, storage)
    case .failure(let error): throw error
    }
  }

  private static func make(
    _ name: String, _ dimension: Int, _ metric: Metric, _ target: RecallTarget?, _ storage: DatabaseStorage,
    _ connection: PostgresConnection
  ) throws(PostgresError) -> Result<PostgresCollection, StoreError> {
    let search: VectorExtension
    switch try VectorExtension.find(connection, mayCreate: true) {
    case .success(let found): search = found
    case .failure(let error): return .failure(error)
    }
    try search.setPath(connection)
    try connection.run("SELECT set_config('lock_timeout', '1500ms', true)")
    let row = try CollectionTable.create(
      name, dimension: dimension, metric: metric, recallTarget: target, storage: storage, connection)
    guard let row, let collection = row.inDatabase else {
      return .failure(.conflict("collection '\(name)' exists, and is kept in memory"))
    }
    try VectorTables.create(collection, connection)
    return .success(row)
  }

  private func row(of name: String) throws(StoreError) -> PostgresCollection? {
    try ask { connection throws(PostgresError) in
      try CollectionTable.all(connection).first { $0.stored.name == name }
    }
  }

  private func reuse(
    _ found: DatabaseCollection, _ dimension: Int, _ metric: Metric, _ recallTarget: RecallTargetChange,
    _ storage: DatabaseStorage?
  ) throws(StoreError) -> (collection: DatabaseCollection, state: DatabaseState, created: Bool) {
    guard found.dimension == dimension, found.metric == metric, storage ?? found.storage == found.storage else {
      throw .conflict(
        """
        collection '\(found.name)' exists with dimension \(found.dimension), metric \(found.metric.rawValue) and storage \
        \(found.storage.rawValue)
        """)
    }
    var target: RecallTarget?
    switch recallTarget {
    case .keep: return (found, try state(of: found), false)
    case .reset: break
    case .set(let wanted): target = wanted
    }
    _ = try write(found) { row, _ throws(PostgresError) in
      row.stored.recallTarget = target
      return .success(0)
    }
    return (found, try state(of: found), false)
  }

  func drop(_ collection: DatabaseCollection) throws(StoreError) {
    guard !isReadOnly else { throw .readOnly }
    let wasThere = try ask { connection throws(PostgresError) -> Bool in
      try connection.run("BEGIN ISOLATION LEVEL READ COMMITTED", seconds: Self.quick)
      do throws(PostgresError) {
        try connection.run("SELECT set_config('lock_timeout', '5s', true)")
        let found = try CollectionTable.lock([collection.id], connection)[collection.id] != nil
        if found { try CollectionTable.drop(collection.id, connection) }
        try VectorTables.drop(VectorTable(collection), connection)
        try connection.run("COMMIT")
        return found
      } catch {
        if !connection.isLost { _ = try? connection.run("ROLLBACK") }
        throw error
      }
    }
    forget(collection)
    guard wasThere else { throw .unknownCollection(collection.name) }
  }
}

extension PostgresCollection {
  /// The collection where it stays in the database; nil where replicas have it in memory.
  var inDatabase: DatabaseCollection? {
    storage.map {
      DatabaseCollection(
        id: stored.id, name: stored.name, dimension: stored.dimension, metric: stored.metric, storage: $0)
    }
  }

  var state: DatabaseState {
    DatabaseState(
      model: stored.model, recallTarget: stored.recallTarget, version: stored.version, count: stored.count)
  }
}

extension PostgresRecords: DatabaseRecords {
  package var engine: any DatabaseEngine { vectors }
}
