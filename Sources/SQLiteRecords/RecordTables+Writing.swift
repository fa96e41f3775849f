import CSQLite
import VectorIndex
import VectorStore

/// How changes are committed.
extension RecordTables {
  func commit(_ group: [RecordChange]) throws(StoreError) -> [Result<Committed, StoreError>] {
    var state = catalog
    var results: [Result<Committed, StoreError>] = []
    try transact { () throws(SQLiteError) in
      for change in group { results.append(try applied(change, &state)) }
    }
    for (change, result) in zip(group, results) {
      if case .drop(let id) = change, case .success = result, let gone = catalog[id]?.asDropped {
        dropped.append(gone)
      }
    }
    catalog = state
    return results
  }

  /// Whether rows of dropped collections are still there and can be deleted.
  var needsSweeping: Bool { !isReadOnly && !dropped.isEmpty }

  /// Deletes some rows of a dropped collection in a short transaction of its own, or the collection when none is left.
  func sweep() throws(StoreError) {
    guard needsSweeping, let next = dropped.first else { return }
    var isGone = false
    try transact { () throws(SQLiteError) in
      isGone = try points.sweep(next)
      if isGone { try collections.delete(next) }
    }
    if isGone { dropped.removeFirst() }
  }

  /// Commits a commit number that is one higher than the last; whatever was committed before is then durable, too.
  func advanceCommitNumber() throws(StoreError) -> Int64 {
    try transact { () throws(SQLiteError) in try collections.writeCommitNumber(commitNumber + 1) }
    commitNumber += 1
    return commitNumber
  }

  /// Runs `body` in one transaction: all of it or nothing.
  private func transact(_ body: () throws(SQLiteError) -> Void) throws(StoreError) {
    guard !isReadOnly else { throw .readOnly }
    do throws(SQLiteError) {
      if logNeedsClearing { try clearLog() }
      try connection.run("BEGIN IMMEDIATE")
      try body()
      try connection.run("COMMIT")
    } catch {
      // Some errors have rolled back already. If this fails, the next BEGIN says so.
      if connection.isInTransaction { try? connection.run("ROLLBACK") }
      logNeedsClearing = true
      throw error.asStoreError
    }
  }

  /// Folds the log into the database and empties it. What failed transactions left behind the last commit would look like
  /// damage (``LogCheck``) once shorter ones have been written over its beginning.
  func clearLog() throws(SQLiteError) {
    guard try connection.value("PRAGMA wal_checkpoint(TRUNCATE)") == "0" else {
      throw SQLiteError(code: SQLITE_BUSY, message: "another process reads the log")
    }
    logNeedsClearing = false
  }

  /// One change within the transaction. An error that concerns it alone is its result; one that stops the group is thrown.
  private func applied(
    _ change: RecordChange, _ state: inout [Int64: CollectionRow]
  ) throws(SQLiteError) -> Result<Committed, StoreError> {
    let before = state
    try connection.run("SAVEPOINT change")
    let result: Result<Committed, StoreError>
    do throws(SQLiteError) {
      result = try write(change, &state)
    } catch {
      guard error.isOfStatement, connection.isInTransaction else { throw error }
      result = .failure(error.asStoreError)
    }
    if case .failure = result {
      state = before
      try connection.run("ROLLBACK TO change")
    }
    try connection.run("RELEASE change")
    return result
  }

  /// Writes one change, and brings `state` up to date.
  private func write(
    _ change: RecordChange, _ state: inout [Int64: CollectionRow]
  ) throws(SQLiteError) -> Result<Committed, StoreError> {
    switch change {
    case .create(let name, let dimension, let metric, let target):
      if state.values.contains(where: { $0.stored.name == name }) {
        return .failure(.conflict("collection '\(name)' exists"))
      }
      let made = try collections.create(name, dimension: dimension, metric: metric, recallTarget: target)
      state[made.id] = made
      return .success(.created(made.stored))
    case .drop(let id):
      guard let gone = state.removeValue(forKey: id)?.asDropped else { return .failure(.unknownCollection("\(id)")) }
      // Its rows are deleted later: a million of them would keep every writer waiting.
      try collections.writeDropped(gone)
      return .success(.dropped)
    case .retarget(let id, let target):
      guard var row = state[id] else { return .failure(.unknownCollection("\(id)")) }
      row.stored.recallTarget = target
      try collections.writeTarget(of: row)
      try collections.write(row)
      state[id] = row
      return .success(.retargeted)
    case .upsert(let id, let batch, let model):
      guard var row = state[id] else { return .failure(.unknownCollection("\(id)")) }
      if let model {
        if let held = row.stored.model, held != model {
          return .failure(.conflict("the collection's texts were embedded by another model, \(held)"))
        }
        row.stored.model = model
      }
      if !batch.isEmpty {
        row.stored.version += 1
        for point in batch { try points.upsert(point, &row) }
        try collections.write(row)
        state[id] = row
      }
      return .success(.changed(version: row.stored.version, points: batch.count, model: row.stored.model))
    case .delete(let id, let ids):
      guard var row = state[id] else { return .failure(.unknownCollection("\(id)")) }
      row.stored.version += 1
      var deleted = 0
      for id in ids where try points.delete(id, &row) { deleted += 1 }
      // A batch that removes nothing is not counted as a version.
      guard deleted > 0 else {
        return .success(.changed(version: row.stored.version - 1, points: 0, model: row.stored.model))
      }
      try points.forget(&row, deleted: deleted)
      try collections.write(row)
      state[id] = row
      return .success(.changed(version: row.stored.version, points: deleted, model: row.stored.model))
    }
  }
}
