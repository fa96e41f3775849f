import Dispatch
import Platform
import VectorIndex
import VectorStore

/// Records in PostgreSQL, which several replicas share: each writes to it, and follows what the others have written.
///
/// Writes, reads, loading and the wait for notifications have a connection each. The notifications are hints that something has
/// changed; a follower also looks by itself, because a hint may be lost.
package final class PostgresRecords: SharedRecords {
  package let location: RecordsLocation
  package let isReadOnly: Bool
  /// Locked as long as the records are.
  private let snapshots: SnapshotFolder?
  let writing: ConnectionSlot
  private let reading: ConnectionSlot
  /// Removing what is no longer needed may take long, too.
  let sweeping: ConnectionSlot
  private let watch: DatabaseWatch
  /// Reading a collection whole takes long, and must not keep others from following what changes.
  let loading: ConnectionSlot
  /// Collections that stay in the database.
  let vectors: PostgresVectors

  /// Attempts at a transaction that others were in the way of.
  private static let attempts = 3
  /// How long the outcome of a COMMIT without an answer is looked for while somebody holds the rows.
  private static let lookUpSeconds = 2.0
  /// Seconds after which no further attempt is made.
  private static let attemptSeconds = 1.0

  /// How long a start waits for a database that cannot be reached yet.
  private static let startSeconds = 30.0

  /// Connects, and makes the tables or brings them up to date. A database that cannot be reached is waited for, since it may be
  /// starting, too.
  ///
  /// - Parameters:
  ///   - url: `postgresql://…`; a password in it never appears in messages.
  ///   - listenURL: a direct connection for notifications, where `url` leads to a pool that gives each transaction another session.
  ///   - readOnly: whether this replica only follows.
  ///   - folder: a folder of this process alone, where graphs may be saved; nil for none.
  ///   - progress: receives a line of text now and then.
  /// - Throws: ``OpenError`` when the database cannot be reached or used, or the folder is in use.
  package static func open(
    _ url: String, listenURL: String? = nil, readOnly: Bool = false, folder: String? = nil,
    progress: (String) -> Void = { _ in }
  ) throws(OpenError) -> PostgresRecords {
    for address in [url, listenURL] { if let address { try StoreURL.check(address) } }
    let folder = try folder.map { path throws(OpenError) in try SnapshotFolder(path) }
    let records = PostgresRecords(url, listenURL: listenURL, readOnly: readOnly, folder: folder)
    let place = records.location.description
    let deadline = SystemClock.monotonic + SystemClock.nanoseconds(startSeconds)
    var isSaid = false
    while true {
      do throws(PostgresError) {
        try records.writing.with(patiently: true) { connection throws(PostgresError) in
          try PostgresSchema.prepare(connection, isReadOnly: readOnly)
        }
        records.watch.start()
        if !readOnly { records.sweepRegularly() }
        return records
      } catch {
        guard error.mayPass, SystemClock.monotonic < deadline else {
          throw error.asOpenError("the database \(place) cannot be used")
        }
        if !isSaid { progress("waiting for the database \(place): \(error.message)") }
        isSaid = true
      }
    }
  }

  private init(_ url: String, listenURL: String?, readOnly: Bool, folder: SnapshotFolder?) {
    location = RecordsLocation(kind: "postgresql", description: StoreURL.withoutSecrets(url), folder: folder?.path)
    snapshots = folder
    isReadOnly = readOnly
    // Shared, so that what one connection has found out about a server that does not answer helps the others.
    let servers = ServerOrder(url)
    let watch = DatabaseWatch(listenURL.map { ServerOrder($0) } ?? servers)
    self.watch = watch
    writing = ConnectionSlot(servers, name: "nearfar writer", watch: watch)
    reading = ConnectionSlot(servers, name: "nearfar reader", watch: watch)
    loading = ConnectionSlot(servers, name: "nearfar loader", watch: watch)
    sweeping = ConnectionSlot(servers, name: "nearfar sweeper", watch: watch)
    vectors = PostgresVectors(servers, readOnly: readOnly, watch: watch)
  }

  package func collections() throws(StoreError) -> [StoredCollection] {
    let changes = vectors.changes
    let rows = try fromReader { connection throws(PostgresError) in try CollectionTable.all(connection) }
    vectors.take(rows, after: changes)
    return rows.filter { $0.storage == nil }.map(\.stored)
  }

  // Nothing is changed by opening them but the tables themselves.
  package func beginWriting() throws(OpenError) {}

  package func close() {
    watch.stop()
    writing.close()
    reading.close()
    loading.close()
    sweeping.close()
    vectors.close()
  }

  func fromReader<Answer>(
    _ body: (PostgresConnection) throws(PostgresError) -> Answer
  ) throws(StoreError) -> Answer {
    do throws(PostgresError) {
      return try retrying { () throws(PostgresError) in try self.reading.with(body) }
    } catch {
      throw error.asStoreError
    }
  }

  /// Runs `body` again when its connection turns out to have been lost, or when another transaction was in the way.
  func retrying<Answer>(_ body: () throws(PostgresError) -> Answer) throws(PostgresError) -> Answer {
    let last = SystemClock.monotonic + SystemClock.nanoseconds(Self.attemptSeconds)
    var attempt = 1
    while true {
      do throws(PostgresError) {
        return try body()
      } catch {
        guard attempt < Self.attempts, SystemClock.monotonic < last, error.isTransient || error.state == nil,
          error != .closed
        else { throw error }
        attempt += 1
      }
    }
  }

  // MARK: Writing

  package func commit(_ group: [RecordChange]) throws(StoreError) -> [Result<Committed, StoreError>] {
    try commit(group, basis: nil, keys: [])
  }

  package func commit(
    _ group: [RecordChange], basis: Int?, keys: [ChangeKey?]
  ) throws(StoreError) -> [Result<Committed, StoreError>] {
    guard !isReadOnly else { throw .readOnly }
    let key = Self.freshKey().key
    do throws(PostgresError) {
      let outcome = try retrying { () throws(PostgresError) in
        try self.writing.with { connection throws(PostgresError) in
          var committing = Committing(connection, key: key)
          return try committing.run(group, basis: basis, keys: keys)
        }
      }
      switch outcome {
      case .committed(let results):
        tell()
        return results
      case .unknown(let results, let error):
        guard try isCommitted(results, group, key: key) else { throw error }
        tell()
        return results
      }
    } catch {
      throw error.asStoreError
    }
  }

  /// A key that no other change has.
  static func freshKey() -> ChangeKey {
    ChangeKey(key: (0..<16).map { _ in UInt8.random(in: 0...255) }, fingerprint: [])
  }

  /// Finds out whether a transaction whose COMMIT had no answer was done: its changes stand with its key. The lock on the rows
  /// waits for the transaction if it is still running.
  private func isCommitted(
    _ results: [Result<Committed, StoreError>], _ group: [RecordChange], key: [UInt8]
  ) throws(PostgresError) -> Bool {
    let written = zip(group, results).compactMap { change, result -> (id: Int64, version: Int)? in
      guard let id = change.collection, case .success(.changed(let version, let points, _, _, _)) = result, points > 0
      else {
        return nil
      }
      return (id, version)
    }
    // What makes, drops or sets a collection is seen in the list of collections; whoever asked may ask again.
    guard let first = written.first else { return false }
    let ids = Array(Set(group.compactMap(\.collection)))
    let last = SystemClock.monotonic + SystemClock.nanoseconds(Self.lookUpSeconds)
    while true {
      do throws(PostgresError) {
        return try retrying { () throws(PostgresError) in
          try self.writing.with(patiently: true) { connection throws(PostgresError) in
            try connection.transaction(.bounded) { () throws(PostgresError) in
              let locked = try CollectionTable.lock(ids, connection)
              let found = try connection.run(
                "SELECT 1 FROM nearfar.changes WHERE collection = $1 AND version = $2 AND key = $3",
                [.integer(first.id), .integer(Int64(first.version)), .bytes(key)])
              // A change that has been forgotten since was committed.
              if let row = locked[first.id], row.horizon >= first.version { return true }
              return found.rows == 1
            }
          }
        }
      } catch {
        // The lock is held, perhaps by the very transaction. This must not become StoreError.busy, after which the change is tried again.
        guard error.asStoreError == .busy else { throw error }
        guard SystemClock.monotonic < last else { throw .lost("no answer came to a COMMIT, and it may still be done") }
        usleep(20_000)
      }
    }
  }

  /// Tells the other replicas, outside the transaction, because PostgreSQL lets only one transaction with notifications commit at
  /// a time. A hint that is lost delays them until they look by themselves.
  func tell() {
    _ = try? writing.with { connection throws(PostgresError) in
      try connection.run("SELECT pg_notify('nearfar', '')")
    }
  }

  // MARK: Following

  package func changes(of collection: Int64, after version: Int, limit: Int) throws(StoreError) -> ChangePage {
    let result = try fromReader { connection throws(PostgresError) -> Result<ChangePage, StoreError> in
      guard let row = try CollectionTable.one(collection, connection) else {
        return .failure(.unknownCollection("\(collection)"))
      }
      let rows = try connection.run(
        """
        SELECT version, CASE WHEN version > $2 THEN payload END, digest FROM (
          SELECT version, payload, digest,
            coalesce(sum(octet_length(payload)) FILTER (WHERE version > $2) OVER (ORDER BY version), 0)
              - octet_length(payload) AS before
          FROM nearfar.changes WHERE collection = $1 AND version >= $2 AND version <= $3 ORDER BY version LIMIT $4) AS next
        WHERE before < $5 ORDER BY version
        """,
        [
          .integer(collection), .integer(Int64(version)), .integer(Int64(row.stored.version)),
          .integer(Int64(Self.changesPerPage)), .integer(Self.bytesPerPage),
        ], seconds: PointTable.statementSeconds)
      // A server that took over after a failure may not have the last commits.
      guard row.stored.version >= version else { return .failure(.tooOld(oldest: row.stored.version)) }
      // Whatever was forgotten meanwhile shows as a gap, because the row was read first.
      if row.horizon > version { return .failure(.tooOld(oldest: row.horizon)) }
      return try .success(Self.page(rows, row, after: version, limit: limit))
    }
    return try result.get()
  }

  /// Changes that are read at once.
  private static let changesPerPage = 1000
  /// Bytes of changes after which no further one is read at once.
  private static let bytesPerPage: Int64 = 16 << 20

  private static func page(
    _ rows: PostgresResult, _ row: PostgresCollection, after version: Int, limit: Int
  ) throws(PostgresError) -> ChangePage {
    var batches: [ChangePage.Batch] = []
    var expected = version
    var taken = 0
    // The change of the version itself, where it is still there, has the digest that the others go on from.
    let hasBase = rows.rows > 0 && rows.integer(0, 0) == Int64(version)
    let base = hasBase ? rows.integer(0, 2) : version == 0 ? 0 : nil
    var digest = base
    for place in (hasBase ? 1 : 0)..<rows.rows where taken < max(1, limit) {
      expected += 1
      guard let found = rows.integer(place, 0), let payload = rows.bytes(place, 1), let noted = rows.integer(place, 2)
      else { throw .damage("a row of nearfar.changes is not as it was written") }
      guard found == expected else { break }
      let reached = digest.map { PostgresCollection.digest($0, version: expected, payload) } ?? noted
      digest = noted
      guard reached == noted, let decoded = ChangePayload.decode(payload, dimension: row.stored.dimension) else {
        throw .damage("change \(found) of collection '\(row.stored.name)' is not as it was written")
      }
      batches.append(
        ChangePage.Batch(version: expected, upserts: decoded.upserts, deletes: decoded.deletes, digest: noted))
      taken += decoded.upserts.count + decoded.deletes.count
    }
    return ChangePage(batches, newest: row.stored.version, after: version, base: base, model: row.stored.model)
  }

  package func waitForHint(seconds: Double) -> Bool { watch.waitForHint(seconds: seconds) }

  package func missingHints() -> String? {
    guard !isReadOnly, !watch.hears({ tell() }) else { return nil }
    return """
      notifications do not arrive from the database \(location.description), so that changes of other replicas are seen a quarter \
      of a second later. Behind a pool of connections, --store-listen has to lead to the same database directly
      """
  }
}
