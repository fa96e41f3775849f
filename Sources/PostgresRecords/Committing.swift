import VectorStore

/// One transaction that changes collections.
struct Committing {
  let connection: PostgresConnection
  /// Stands with every change of the transaction, so that it can be found out whether a COMMIT without an answer was done.
  let key: [UInt8]
  private var rows: [Int64: PostgresCollection] = [:]
  private var known = KnownKeys()

  init(_ connection: PostgresConnection, key: [UInt8]) {
    self.connection = connection
    self.key = key
  }

  /// What became of a transaction.
  enum Outcome {
    case committed([Result<Committed, StoreError>])
    /// COMMIT was sent, and no answer came: the changes may be stored. If they are, these are the results.
    case unknown([Result<Committed, StoreError>], PostgresError)
  }

  /// Runs the transaction.
  ///
  /// - Parameters:
  ///   - basis: the version that the first change was derived from.
  ///   - keys: those of the changes; empty when none has one.
  /// - Throws: when nothing was stored.
  mutating func run(_ group: [RecordChange], basis: Int?, keys: [ChangeKey?]) throws(PostgresError) -> Outcome {
    var results: [Result<Committed, StoreError>] = []
    do throws(PostgresError) {
      try connection.beginBounded()
      rows = try CollectionTable.lock(Array(Set(group.compactMap(\.collection))), connection)
      // Under the lock, so that another replica with the same key has ended.
      known = try KnownKeys.read(keys.compactMap { $0 }, connection)
      for (place, change) in group.enumerated() {
        let key = keys.isEmpty ? nil : keys[place]
        if let key, let before = known.outcome(of: key) {
          results.append(before.upTo(change.collection.flatMap { rows[$0]?.stored.version } ?? .max))
          continue
        }
        let result = try write(change, basis: place == 0 ? basis : nil)
        if let key, case .success(.changed(let version, let points, _, _, _)) = result {
          try known.add(key, version: version, points: points, connection)
        }
        results.append(result)
      }
    } catch {
      if !connection.isLost { _ = try? connection.run("ROLLBACK") }
      throw error
    }
    do throws(PostgresError) {
      try connection.run("COMMIT", seconds: 5)
    } catch {
      // A COMMIT that was refused has rolled back.
      guard error.outcome == .unknown else { throw error }
      return .unknown(results, error)
    }
    return .committed(results)
  }

  private mutating func write(
    _ change: RecordChange, basis: Int?
  ) throws(PostgresError) -> Result<Committed, StoreError> {
    if case .create(let name, let dimension, let metric, let target) = change {
      let made = try CollectionTable.create(
        name, dimension: dimension, metric: metric, recallTarget: target, connection)
      guard let made else { return .failure(.conflict("collection '\(name)' exists")) }
      rows[made.stored.id] = made
      return .success(.created(made.stored))
    }
    guard let id = change.collection, var row = rows[id] else {
      return .failure(.unknownCollection("\(change.collection ?? 0)"))
    }
    if let basis, row.stored.version != basis { return .failure(.outdated(version: row.stored.version)) }
    defer { rows[id] = rows[id] == nil ? nil : row }
    let before = row.stored.digest
    switch change {
    case .create: preconditionFailure("a collection that is made has no number yet")
    case .drop:
      try CollectionTable.drop(id, connection)
      rows[id] = nil
      return .success(.dropped)
    case .retarget(_, let target):
      row.stored.recallTarget = target
      try CollectionTable.write(row, connection)
      return .success(.retargeted)
    case .upsert(_, let points, let model):
      if let model {
        if let held = row.stored.model, held != model {
          return .failure(.conflict("the collection's texts were embedded by another model, \(held)"))
        }
        row.stored.model = model
      }
      guard !points.isEmpty else { return .success(row.changed(0, before: before)) }
      row.stored.version += 1
      row.stored.count += try PointTable.upsert(points, collection: id, version: row.stored.version, connection)
      try finish(&row, ChangePayload.encode(upserts: points, deletes: []))
      return .success(row.changed(points.count, before: before))
    case .delete(_, let ids):
      let deleted = ids.isEmpty ? [] : try PointTable.delete(ids, collection: id, connection)
      guard !deleted.isEmpty else { return .success(row.changed(0, before: before)) }
      row.stored.version += 1
      row.stored.count -= deleted.count
      try finish(&row, ChangePayload.encode(upserts: [], deletes: deleted))
      return .success(row.changed(deleted.count, before: before))
    }
  }

  private func finish(_ row: inout PostgresCollection, _ payload: [UInt8]) throws(PostgresError) {
    row.stored.digest = PostgresCollection.digest(row.stored.digest, version: row.stored.version, payload)
    try PointTable.add(change: payload, key: key, row, connection)
    try CollectionTable.write(row, connection)
  }
}

extension PostgresCollection {
  /// The outcome of a batch that has changed so many points.
  fileprivate func changed(_ points: Int, before: Int64) -> Committed {
    .changed(
      version: stored.version, points: points, model: stored.model, digest: stored.digest, before: before)
  }
}

extension Result<Committed, StoreError> {
  /// An earlier outcome of a collection that has come to a version. A key may be older than the collection, whose name another one
  /// had before; nobody must wait for a version of that one.
  fileprivate func upTo(_ newest: Int) -> Self {
    guard case .success(.repeated(let version, let points, let answer)) = self else { return self }
    return .success(.repeated(version: min(version, newest), points: points, answer: answer))
  }
}

extension RecordChange {
  /// The collection that it changes; nil for one that is yet to be made.
  var collection: Int64? {
    switch self {
    case .create: nil
    case .drop(let id), .retarget(let id, _), .upsert(let id, _, _), .delete(let id, _): id
    }
  }
}
