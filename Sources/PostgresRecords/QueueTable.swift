import VectorStore

/// Queues of negatives in the database: a row for each, which whoever appends locks, and its batches.
extension PostgresRecords: QueueRecords {
  package func queues() throws(StoreError) -> [StoredQueue] {
    try fromReader { connection throws(PostgresError) in
      try Self.read(
        connection.run(
          """
          SELECT id, name, capacity, dimension, version, appended, digest FROM nearfar.queues ORDER BY id
          """))
    }
  }

  package func makeQueue(
    _ name: String, capacity: Int, dimension: Int, most: Int, mostValues: Int
  ) throws(StoreError) -> (queue: StoredQueue, created: Bool) {
    try writingQueues { connection throws(PostgresError) -> Result<(queue: StoredQueue, created: Bool), StoreError> in
      let made = try Self.read(
        connection.run(
          """
          INSERT INTO nearfar.queues (name, capacity, dimension)
          SELECT $1, $2, $3 WHERE (
            SELECT count(*) < $4 AND coalesce(sum(capacity * dimension), 0) + $2 * $3 <= $5 FROM nearfar.queues)
          ON CONFLICT (name) DO NOTHING
          RETURNING id, name, capacity, dimension, version, appended, digest
          """,
          [
            .text(name), .integer(Int64(capacity)), .integer(Int64(dimension)), .integer(Int64(most)),
            .integer(Int64(mostValues)),
          ]))
      if let queue = made.first { return .success((queue, true)) }
      let found = try Self.read(
        connection.run(
          """
          SELECT id, name, capacity, dimension, version, appended, digest FROM nearfar.queues WHERE name = $1
          """, [.text(name)]))
      return found.first.map { .success(($0, false)) } ?? .failure(.full)
    }
  }

  package func dropQueue(_ id: Int64) throws(StoreError) {
    try writingQueues { connection throws(PostgresError) -> Result<Void, StoreError> in
      let dropped = try connection.run("DELETE FROM nearfar.queues WHERE id = $1 RETURNING id", [.integer(id)])
      guard dropped.rows == 1 else { return .failure(.unknownCollection("\(id)")) }
      try connection.run("INSERT INTO nearfar.dropped (id, kind) VALUES ($1, 'queue')", [.integer(id)])
      return .success(())
    }
  }

  package func append(
    rows: Int, _ values: [Float], to id: Int64, key: ChangeKey?, answer: [UInt8]?
  ) throws(StoreError) -> Appended {
    let isNamed = key != nil
    // Tells whether a COMMIT without an answer was done, also where the client gave no key.
    let key = key ?? Self.freshKey()
    return try writingQueues { connection throws(PostgresError) -> Result<Appended, StoreError> in
      guard let queue = try Self.locked(id, connection) else { return .failure(.unknownCollection("\(id)")) }
      var known = try KnownKeys.read([key], connection)
      switch known.outcome(of: key) {
      case .success(.repeated(let version, _, let answer)):
        // Of this very call: its COMMIT had no answer.
        guard isNamed else { return .success(.done(version: version)) }
        // A key may be older than the queue, whose name another one had before.
        return .success(.repeated(version: min(version, queue.version), answer: answer))
      case .failure(let error): return .failure(error)
      default: break
      }
      guard values.count == min(rows, queue.capacity) * queue.dimension else {
        return .failure(.dimension(row: 0, expected: queue.dimension, found: values.count / max(1, rows)))
      }
      let payload = values.withUnsafeBytes { Array($0) }
      let version = queue.version + 1
      let digest = PostgresCollection.digest(queue.digest, version: version, payload)
      try connection.run(
        """
        INSERT INTO nearfar.queue_batches (queue, version, before, rows, payload, digest)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        [
          .integer(id), .integer(Int64(version)), .integer(Int64(queue.appended)), .integer(Int64(rows)),
          .bytes(payload),
          .integer(digest),
        ], seconds: PointTable.statementSeconds)
      try connection.run(
        "DELETE FROM nearfar.queue_batches WHERE queue = $1 AND before + rows <= $2",
        [.integer(id), .integer(Int64(queue.appended + rows - queue.capacity))])
      try connection.run(
        "UPDATE nearfar.queues SET version = $2, appended = $3, digest = $4 WHERE id = $1",
        [.integer(id), .integer(Int64(version)), .integer(Int64(queue.appended + rows)), .integer(digest)])
      try known.add(key, version: version, points: rows, answer: answer, connection)
      return .success(.done(version: version))
    }
  }

  package func readQueue(
    _ id: Int64, after version: Int, _ body: (QueueBatch) -> Void
  ) throws(StoreError) -> StoredQueue {
    // Kept from one attempt to the next, so that no batch is given twice where the connection was lost in between.
    var last = version
    let result = try fromReader { connection throws(PostgresError) -> Result<StoredQueue, StoreError> in
      try connection.transaction(.snapshot) { () throws(PostgresError) in
        let found = try Self.read(
          connection.run(
            """
            SELECT id, name, capacity, dimension, version, appended, digest FROM nearfar.queues WHERE id = $1
            """, [.integer(id)])
        ).first
        guard let queue = found else { return .failure(.unknownCollection("\(id)")) }
        while last < queue.version {
          let rows = try connection.run(
            """
            SELECT version, before, rows, payload, digest FROM (
              SELECT version, before, rows, payload, digest,
                sum(octet_length(payload)) OVER (ORDER BY version) - octet_length(payload) AS ahead
              FROM nearfar.queue_batches WHERE queue = $1 AND version > $2 ORDER BY version LIMIT 1000) AS next
            WHERE ahead < $3 ORDER BY version
            """, [.integer(id), .integer(Int64(last)), .integer(16 << 20)], seconds: PointTable.statementSeconds)
          guard rows.rows > 0 else { break }
          for row in 0..<rows.rows {
            guard let number = rows.count(row, 0), let before = rows.count(row, 1), let count = rows.count(row, 2),
              let values = rows.floats(row, 3), let digest = rows.integer(row, 4), number > last,
              values.count == min(count, queue.capacity) * queue.dimension
            else { throw .damage("a row of nearfar.queue_batches is not as it was written") }
            last = number
            body(QueueBatch(version: last, before: before, rows: count, values: values, digest: digest))
          }
        }
        return .success(queue)
      }
    }
    return try result.get()
  }

  package func follows(_ digest: Int64, _ batch: QueueBatch) -> Bool {
    batch.digest
      == PostgresCollection.digest(digest, version: batch.version, batch.values.withUnsafeBytes { Array($0) })
  }

  // MARK: Statements

  /// Runs `body` in a transaction, and again where another one was in the way. A COMMIT without an answer is followed by another
  /// attempt, which finds the key of the first.
  private func writingQueues<Answer>(
    _ body: (PostgresConnection) throws(PostgresError) -> Result<Answer, StoreError>
  ) throws(StoreError) -> Answer {
    guard !isReadOnly else { throw .readOnly }
    let result: Result<Answer, StoreError>
    do throws(PostgresError) {
      result = try retrying { () throws(PostgresError) in
        try self.writing.with { connection throws(PostgresError) in
          try connection.transaction(.bounded) { () throws(PostgresError) in try body(connection) }
        }
      }
    } catch {
      throw error.asStoreError
    }
    tell()
    return try result.get()
  }

  private static func locked(_ id: Int64, _ connection: PostgresConnection) throws(PostgresError) -> StoredQueue? {
    try read(
      connection.run(
        """
        SELECT id, name, capacity, dimension, version, appended, digest FROM nearfar.queues WHERE id = $1 FOR UPDATE
        """, [.integer(id)])
    ).first
  }

  private static func read(_ rows: PostgresResult) throws(PostgresError) -> [StoredQueue] {
    var all: [StoredQueue] = []
    for row in 0..<rows.rows {
      guard let id = rows.integer(row, 0), let name = rows.text(row, 1), let capacity = rows.count(row, 2),
        let dimension = rows.count(row, 3), let version = rows.count(row, 4), let appended = rows.count(row, 5),
        let digest = rows.integer(row, 6), capacity > 0, dimension > 0,
        !capacity.multipliedReportingOverflow(by: 4 * dimension).overflow
      else { throw .damage("a row of nearfar.queues is not as it was written") }
      all.append(
        StoredQueue(
          id: id, name: name, capacity: capacity, dimension: dimension, version: version, appended: appended,
          digest: digest))
    }
    return all
  }
}
