import Dispatch
import Platform
import VectorStore

/// Removes from the database what nobody needs any more: changes that every replica has had time to follow, keys that are no longer
/// kept, and what dropped collections and queues have left.
extension PostgresRecords {
  /// Seconds between two rounds of one replica.
  private static let secondsPerRound = 60
  /// How long a change is kept for those that follow; a replica that is further behind loads the collection anew.
  private static let changeSeconds = 900.0
  /// How long a client's Idempotency-Key is kept.
  private static let keySeconds = 600.0
  /// Rows that one transaction removes.
  private static let rowsPerStep: Int64 = 10_000
  /// "nearfars" in ASCII, as the number of the lock that whoever sweeps holds.
  private static let lock: Int64 = 0x6E65_6172_6661_7273

  /// Sweeps on a queue of its own as long as the records are in use.
  func sweepRegularly() {
    let seconds = Double(Self.secondsPerRound) * Double.random(in: 0.8...1.2)
    DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + seconds) { [weak self] in
      guard let self else { return }
      do throws(PostgresError) {
        try removeOld(changes: Self.changeSeconds, keys: Self.keySeconds)
      } catch {
        // The next round, or another replica, does it.
        if error == .closed { return }
      }
      sweepRegularly()
    }
  }

  /// One round. Nothing happens while another replica sweeps.
  ///
  /// - Parameters: ages in seconds.
  package func sweep(changesOlderThan changes: Double, keysOlderThan keys: Double) throws(StoreError) {
    do throws(PostgresError) { try removeOld(changes: changes, keys: keys) } catch { throw error.asStoreError }
  }

  private func removeOld(changes: Double, keys: Double) throws(PostgresError) {
    try forget(olderThan: changes)
    var isMore = true
    while isMore {
      let step = try alone(.plain) { connection throws(PostgresError) in try Self.step(connection, keys: keys) }
      isMore = step ?? false
    }
  }

  /// Runs `body` in a transaction.
  ///
  /// - Returns: nil while another replica sweeps.
  private func alone<Answer>(
    _ kind: PostgresConnection.TransactionKind,
    _ body: (PostgresConnection) throws(PostgresError) -> Answer
  ) throws(PostgresError) -> Answer? {
    try sweeping.with { connection throws(PostgresError) in
      try connection.transaction(kind) { () throws(PostgresError) in
        let held = try connection.run("SELECT pg_try_advisory_xact_lock($1)", [.integer(Self.lock)])
        guard held.boolean(0, 0) == true else { return nil }
        return try body(connection)
      }
    }
  }

  /// Notes in the rows of collections which changes nobody may count on any more. Each row has a transaction of its own: one that held
  /// several, or removed changes as well, would keep writers waiting.
  private func forget(olderThan changes: Double) throws(PostgresError) {
    // The newest change of those that are forgotten stays: its digest is what the next ones go on from.
    let found = try alone(.plain) { connection throws(PostgresError) in
      try connection.run(
        """
        SELECT c.id, old.version FROM nearfar.collections c JOIN (
          SELECT collection, max(version) AS version FROM nearfar.changes
          WHERE created < now() - make_interval(secs => $1) GROUP BY collection) AS old ON c.id = old.collection
        WHERE c.horizon < old.version ORDER BY c.id
        """, [.optionalReal(changes)], seconds: 60)
    }
    guard let found else { return }
    for row in 0..<found.rows {
      guard let id = found.integer(row, 0), let version = found.integer(row, 1) else { continue }
      do throws(PostgresError) {
        _ = try alone(.bounded) { connection throws(PostgresError) in
          try connection.run(
            "UPDATE nearfar.collections SET horizon = $2 WHERE id = $1 AND horizon < $2",
            [.integer(id), .integer(version)])
        }
      } catch {
        // Somebody holds the collection: the next round does it.
        guard error.asStoreError == .busy else { throw error }
      }
    }
  }

  /// - Returns: whether there is more to remove.
  private static func step(_ connection: PostgresConnection, keys: Double) throws(PostgresError) -> Bool {
    try connection.run(
      "DELETE FROM nearfar.keys WHERE created < now() - make_interval(secs => $1)", [.optionalReal(keys)])
    var removed = try connection.run(
      """
      DELETE FROM nearfar.changes WHERE (collection, version) IN (
        SELECT ch.collection, ch.version FROM nearfar.changes ch JOIN nearfar.collections c ON c.id = ch.collection
        WHERE ch.version < c.horizon LIMIT $1)
      """, [.integer(rowsPerStep)], seconds: 60
    ).changed
    let dropped = try connection.run("SELECT id, kind FROM nearfar.dropped ORDER BY kind, id LIMIT 1")
    if dropped.rows == 1, let id = dropped.integer(0, 0), let kind = dropped.text(0, 1) {
      let left = try remove(id, kind, connection)
      if left == 0 {
        try connection.run("DELETE FROM nearfar.dropped WHERE id = $1 AND kind = $2", [.integer(id), .text(kind)])
      }
      removed += max(1, left)
    }
    return removed > 0
  }

  /// Removes rows of a dropped collection or queue.
  ///
  /// - Returns: how many; 0 when none was left.
  private static func remove(
    _ id: Int64, _ kind: String, _ connection: PostgresConnection
  ) throws(PostgresError) -> Int {
    // By keys, since rows of partitions on other servers have no place that a statement could name.
    let values: [PostgresValue] = [.integer(id), .integer(rowsPerStep)]
    if kind == "queue" {
      return try connection.run(
        """
        DELETE FROM nearfar.queue_batches WHERE queue = $1 AND version IN (
          SELECT version FROM nearfar.queue_batches WHERE queue = $1 LIMIT $2)
        """, values, seconds: 60
      ).changed
    }
    let points = try connection.run(
      """
      DELETE FROM nearfar.points WHERE collection = $1 AND id IN (
        SELECT id FROM nearfar.points WHERE collection = $1 LIMIT $2)
      """, values, seconds: 60
    ).changed
    return try points
      + connection.run(
        """
        DELETE FROM nearfar.changes WHERE collection = $1 AND version IN (
          SELECT version FROM nearfar.changes WHERE collection = $1 LIMIT $2)
        """, values, seconds: 60
      ).changed
  }
}
